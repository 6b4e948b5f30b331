(* SPDX-License-Identifier: LGPL-2.1-or-later *)

(* Uses the OCaml binding and prints what it returns:  binding SECTION
   The sections are at the end of this file. *)

open Printf

let attempt f =
  try f () with
  | NBD.Error (message, errno) ->
     sprintf "NBD.Error %s (%s)" message
       (match errno with
        | None -> "no errno"
        | Some e -> string_of_int (NBD.errno_of_unix_error e))
  | NBD.Closed name -> sprintf "NBD.Closed %s" name
  | e -> sprintf "exception %s" (Printexc.to_string e)

let show name f = printf "%s: %s\n%!" name (attempt f)
let unit f () = f (); "()"
let bool f () = string_of_bool (f ())
let int f () = string_of_int (f ())
let int64 f () = Int64.to_string (f ())
let text f () = sprintf "%S" (f ())

(* What servers say has the numbers of their threads in it. *)
let nbdkit args = [ "sh"; "-c"; "exec nbdkit \"$@\" 2> /dev/null"; "" ] @ args
let server args = nbdkit ([ "-s"; "--exit-with-parent" ] @ args)

let memory = server [ "memory"; "1M" ]
let sparse = server [ "data"; "1 @0x8000 2 @0x20000 3"; "size=1M" ]

let connected ?(contexts = []) command =
  let h = NBD.create () in
  List.iter (NBD.add_meta_context h) contexts;
  NBD.connect_command h command;
  h

let until h condition =
  while not (condition ()) do
    ignore (NBD.poll h 10000)
  done

let state h =
  List.iter (fun (name, f) -> show name (bool (fun () -> f h)))
    [ "aio_is_created", NBD.aio_is_created;
      "aio_is_connecting", NBD.aio_is_connecting;
      "aio_is_negotiating", NBD.aio_is_negotiating;
      "aio_is_ready", NBD.aio_is_ready;
      "aio_is_processing", NBD.aio_is_processing;
      "aio_is_dead", NBD.aio_is_dead;
      "aio_is_closed", NBD.aio_is_closed ];
  show "connection_state" (text (fun () -> NBD.connection_state h))

let settings () =
  let h = NBD.create () in
  show "get_handle_name" (text (fun () -> NBD.get_handle_name h));
  show "set_handle_name" (unit (fun () -> NBD.set_handle_name h "h"));
  show "get_handle_name" (text (fun () -> NBD.get_handle_name h));
  List.iter (fun (name, set, get) ->
      List.iter (fun value ->
          show ("set_" ^ name) (unit (fun () -> set h value));
          show ("get_" ^ name) (bool (fun () -> get h)))
        [ true; false ])
    [ "request_block_size", NBD.set_request_block_size,
      NBD.get_request_block_size;
      "full_info", NBD.set_full_info, NBD.get_full_info;
      "request_structured_replies", NBD.set_request_structured_replies,
      NBD.get_request_structured_replies;
      "pread_initialize", NBD.set_pread_initialize, NBD.get_pread_initialize;
      "opt_mode", NBD.set_opt_mode, NBD.get_opt_mode;
      "tls_verify_peer", NBD.set_tls_verify_peer, NBD.get_tls_verify_peer ];
  show "get_debug" (bool (fun () -> NBD.get_debug h));
  show "set_private_data" (int (fun () -> NBD.set_private_data h 7));
  show "get_private_data" (int (fun () -> NBD.get_private_data h));
  show "set_export_name" (unit (fun () -> NBD.set_export_name h "disk"));
  show "get_export_name" (text (fun () -> NBD.get_export_name h));
  show "set_export_name, too long"
    (unit (fun () -> NBD.set_export_name h (String.make 4097 'x')));
  show "set_tls_username" (unit (fun () -> NBD.set_tls_username h "alice"));
  show "get_tls_username" (text (fun () -> NBD.get_tls_username h));
  show "set_tls_psk_file" (unit (fun () -> NBD.set_tls_psk_file h "/none"));
  show "set_tls_certificates"
    (unit (fun () -> NBD.set_tls_certificates h "/none"));
  List.iter (fun (name, tls) ->
      show "set_tls" (unit (fun () -> NBD.set_tls h tls));
      show name (bool (fun () -> NBD.get_tls h = tls)))
    [ "allow", NBD.TLS.ALLOW; "require", NBD.TLS.REQUIRE;
      "disable", NBD.TLS.DISABLE ];
  show "set_tls, unknown" (unit (fun () -> NBD.set_tls h (NBD.TLS.UNKNOWN 9)));
  show "set_handshake_flags"
    (unit (fun () ->
         NBD.set_handshake_flags h [ NBD.HANDSHAKE_FLAG.NO_ZEROES ]));
  show "get_handshake_flags"
    (int (fun () -> List.length (NBD.get_handshake_flags h)));
  show "set_strict_mode"
    (unit (fun () -> NBD.set_strict_mode h NBD.STRICT.[ BOUNDS; FLAGS ]));
  show "get_strict_mode" (int (fun () -> List.length (NBD.get_strict_mode h)));
  List.iter (fun name ->
      show "add_meta_context" (unit (fun () -> NBD.add_meta_context h name)))
    [ NBD.context_base_allocation; "x:y"; "" ];
  show "get_nr_meta_contexts" (int (fun () -> NBD.get_nr_meta_contexts h));
  show "get_meta_context" (text (fun () -> NBD.get_meta_context h 1));
  show "get_meta_context, none" (text (fun () -> NBD.get_meta_context h 9));
  show "clear_meta_contexts" (unit (fun () -> NBD.clear_meta_contexts h));
  show "get_nr_meta_contexts" (int (fun () -> NBD.get_nr_meta_contexts h));
  show "set_uri_allow_transports"
    (unit (fun () ->
         NBD.set_uri_allow_transports h [ NBD.ALLOW_TRANSPORT.UNIX ]));
  show "connect_uri, refused"
    (unit (fun () -> NBD.connect_uri h "nbd://127.0.0.1:1/"));
  show "set_uri_allow_tls"
    (unit (fun () -> NBD.set_uri_allow_tls h NBD.TLS.DISABLE));
  show "set_uri_allow_local_file"
    (unit (fun () -> NBD.set_uri_allow_local_file h true));
  show "get_package_name" (text (fun () -> NBD.get_package_name h));
  show "supports_tls" (bool (fun () -> NBD.supports_tls h));
  show "supports_uri" (bool (fun () -> NBD.supports_uri h));
  state h;
  NBD.close h;
  show "closed" (text (fun () -> NBD.get_export_name h));
  NBD.close h

(* Bits that the binding does not know do not break it. *)
let defaults () =
  let h = NBD.create () in
  let modes = NBD.get_strict_mode h in
  show "defaults"
    (bool (fun () ->
         List.for_all (fun m -> List.mem m modes)
           NBD.STRICT.[ COMMANDS; FLAGS; BOUNDS; ZERO_SIZE; ALIGN ]));
  show "set_strict_mode" (unit (fun () -> NBD.set_strict_mode h modes));
  show "the same" (bool (fun () -> NBD.get_strict_mode h = modes));
  show "get_handshake_flags"
    (bool (fun () ->
         NBD.get_handshake_flags h
         = NBD.HANDSHAKE_FLAG.[ FIXED_NEWSTYLE; NO_ZEROES ]))

let data () =
  let h = connected memory in
  let hello = Bytes.of_string "hello, world" in
  let buf = Bytes.create 20 in
  show "get_size" (int64 (fun () -> NBD.get_size h));
  show "pwrite" (unit (fun () -> NBD.pwrite h hello 100L));
  show "pread" (unit (fun () -> NBD.pread h buf 96L));
  printf "%S\n" (Bytes.to_string buf);
  show "pwrite, FUA"
    (unit (fun () -> NBD.pwrite ~flags:[ NBD.CMD_FLAG.FUA ] h hello 300L));
  show "zero" (unit (fun () -> NBD.zero h 512L 0L));
  show "zero, NO_HOLE"
    (unit (fun () -> NBD.zero ~flags:[ NBD.CMD_FLAG.NO_HOLE ] h 512L 0L));
  show "trim" (unit (fun () -> NBD.trim h 512L 1024L));
  show "cache" (unit (fun () -> NBD.cache h 512L 0L));
  show "flush" (unit (fun () -> NBD.flush h));
  show "pread" (unit (fun () -> NBD.pread h buf 96L));
  printf "%S\n" (Bytes.to_string buf);
  show "pread, beyond" (unit (fun () -> NBD.pread h buf 1048576L));
  show "pwrite, beyond" (unit (fun () -> NBD.pwrite h hello 1048570L));
  show "trim, nothing" (unit (fun () -> NBD.trim h 0L 0L));
  show "flush, flags"
    (unit (fun () -> NBD.flush ~flags:[ NBD.CMD_FLAG.FUA ] h));
  List.iter (fun (name, f) -> show name (bool (fun () -> f h)))
    [ "is_read_only", NBD.is_read_only; "can_flush", NBD.can_flush;
      "can_fua", NBD.can_fua; "is_rotational", NBD.is_rotational;
      "can_trim", NBD.can_trim; "can_zero", NBD.can_zero;
      "can_fast_zero", NBD.can_fast_zero; "can_df", NBD.can_df;
      "can_multi_conn", NBD.can_multi_conn; "can_cache", NBD.can_cache;
      "get_tls_negotiated", NBD.get_tls_negotiated;
      "get_structured_replies_negotiated",
      NBD.get_structured_replies_negotiated ];
  show "get_protocol" (text (fun () -> NBD.get_protocol h));
  show "get_block_size"
    (int64 (fun () -> NBD.get_block_size h NBD.SIZE.MINIMUM));
  show "get_uri" (text (fun () -> NBD.get_uri h));
  show "get_canonical_export_name"
    (text (fun () -> NBD.get_canonical_export_name h));
  show "shutdown" (unit (fun () -> NBD.shutdown h));
  state h;
  show "pread, shut down" (unit (fun () -> NBD.pread h buf 0L))

let extents name context offset entries error =
  printf "  %s: %s %Ld [%s] %d\n" name context offset
    (String.concat "; "
       (List.map Int64.to_string (Array.to_list entries))) !error;
  0

let status () =
  let h = connected ~contexts:[ NBD.context_base_allocation ] sparse in
  let all = 1048576L in
  show "can_meta_context"
    (bool (fun () -> NBD.can_meta_context h NBD.context_base_allocation));
  show "block_status"
    (unit (fun () -> NBD.block_status h all 0L (extents "extents")));
  show "block_status, one"
    (unit (fun () ->
         NBD.block_status ~flags:[ NBD.CMD_FLAG.REQ_ONE ] h all 0L
           (extents "extents")));
  let buf = Bytes.create 0x30000 in
  let chunk bytes offset status error =
    printf "  chunk of %d at %Ld, %d, %d\n" (Bytes.length bytes) offset status
      !error;
    0 in
  show "pread_structured"
    (unit (fun () -> NBD.pread_structured h buf 0L chunk));
  show "pread_structured, DF"
    (unit (fun () ->
         NBD.pread_structured ~flags:[ NBD.CMD_FLAG.DF ] h buf 0L chunk));
  printf "%s\n" (Digest.to_hex (Digest.bytes buf))

let commands () =
  let h = connected ~contexts:[ NBD.context_base_allocation ] memory in
  let done_ error = printf "  completed: %d\n" !error; 1 in
  let buf = NBD.Buffer.of_bytes (Bytes.make 512 'x') in
  let back = NBD.Buffer.alloc 512 in
  let finish () = until h (fun () -> NBD.aio_in_flight h = 0) in
  let each name f = show name (int64 f); finish () in
  each "aio_pwrite" (fun () -> NBD.aio_pwrite ~completion:done_ h buf 512L);
  each "aio_flush" (fun () -> NBD.aio_flush ~completion:done_ h);
  each "aio_pread" (fun () -> NBD.aio_pread ~completion:done_ h back 512L);
  printf "%b\n" (NBD.Buffer.to_bytes back = Bytes.make 512 'x');
  each "aio_zero" (fun () -> NBD.aio_zero ~completion:done_ h 512L 512L);
  each "aio_trim" (fun () -> NBD.aio_trim ~completion:done_ h 512L 0L);
  each "aio_cache" (fun () -> NBD.aio_cache ~completion:done_ h 512L 0L);
  each "aio_block_status"
    (fun () ->
      NBD.aio_block_status ~completion:done_ h 4096L 0L (extents "extents"));
  let cookies =
    List.init 64 (fun i -> NBD.aio_pread h back (Int64.of_int (i * 512))) in
  List.iter (fun cookie ->
      until h (fun () -> NBD.aio_command_completed h cookie)) cookies;
  show "aio_peek_command_completed"
    (int64 (fun () -> NBD.aio_peek_command_completed h));
  show "aio_get_direction" (int (fun () -> NBD.aio_get_direction h));
  show "aio_disconnect" (unit (fun () -> NBD.aio_disconnect h));
  until h (fun () -> NBD.aio_is_closed h);
  state h

let exports () =
  Unix.mkdir "disks" 0o755;
  close_out (open_out "disks/one");
  let out = open_out "disks/two" in
  output_string out "two";
  close_out out;
  let h = NBD.create () in
  let export name description = printf "  %S %S\n" name description; 0 in
  NBD.set_opt_mode h true;
  NBD.connect_command h (server [ "file"; "dir=" ^ Sys.getcwd () ^ "/disks" ]);
  state h;
  show "opt_list" (int (fun () -> NBD.opt_list h export));
  show "set_export_name" (unit (fun () -> NBD.set_export_name h "two"));
  show "opt_info" (unit (fun () -> NBD.opt_info h));
  show "get_size" (int64 (fun () -> NBD.get_size h));
  show "opt_list_meta_context"
    (int (fun () ->
         NBD.opt_list_meta_context h (fun c -> printf "  %S\n" c; 0)));
  show "set_export_name" (unit (fun () -> NBD.set_export_name h "three"));
  show "opt_go" (unit (fun () -> NBD.opt_go h));
  show "set_export_name" (unit (fun () -> NBD.set_export_name h "two"));
  let result =
    attempt (unit (fun () ->
                 NBD.aio_opt_go ~completion:(fun e ->
                     printf "  completed: %d\n" !e; 1) h)) in
  until h (fun () -> NBD.aio_is_ready h);
  printf "aio_opt_go: %s\n" result;
  show "get_size" (int64 (fun () -> NBD.get_size h));
  show "opt_abort" (unit (fun () -> NBD.opt_abort h))

let connections () =
  show "connect_unix"
    (unit (fun () -> NBD.with_handle (fun h -> NBD.connect_unix h "/none")));
  show "connect_tcp"
    (unit (fun () ->
         NBD.with_handle (fun h -> NBD.connect_tcp h "127.0.0.1" "1")));
  show "connect_uri"
    (unit (fun () -> NBD.with_handle (fun h -> NBD.connect_uri h "x://y")));
  show "connect_command"
    (unit (fun () ->
         NBD.with_handle (fun h -> NBD.connect_command h [ "false" ])));
  show "connect_command, nothing"
    (unit (fun () -> NBD.with_handle (fun h -> NBD.connect_command h [])));
  show "connect_systemd_socket_activation"
    (int64 (fun () ->
         NBD.with_handle (fun h ->
             NBD.connect_systemd_socket_activation h
               (nbdkit [ "memory"; "2M" ]);
             NBD.get_size h)));
  show "kill_subprocess"
    (unit (fun () ->
         NBD.with_handle (fun h ->
             NBD.connect_command h memory;
             NBD.kill_subprocess h Sys.sigterm)));
  let h = NBD.create () in
  show "aio_connect_command"
    (unit (fun () -> NBD.aio_connect_command h memory));
  until h (fun () -> NBD.aio_is_ready h);
  state h

(* Handles and buffers that are collected, with commands in flight.  Those that
   have a callback are closed, as their page says. *)
let collection () =
  for i = 1 to 20 do
    let h = connected memory in
    let buf = NBD.Buffer.alloc 65536 in
    if i mod 2 = 0 then begin
        let word = String.make 100 'x' in
        ignore (NBD.aio_pread ~completion:(fun _ -> String.length word)
                  h buf 0L);
        NBD.close h
      end
    else ignore (NBD.aio_pread h buf 0L);
    if i mod 5 = 0 then Gc.compact ()
  done;
  Gc.compact ();
  print_endline "alive"

let tracing () =
  let h = NBD.create () in
  let functions = ref [] in
  NBD.set_debug_callback h (fun name _ ->
      functions := name :: !functions; 0);
  show "set_debug" (unit (fun () -> NBD.set_debug h true));
  NBD.set_export_name h "x";
  show "traced" (bool (fun () -> List.mem "nbd_set_export_name" !functions));
  show "clear_debug_callback" (unit (fun () -> NBD.clear_debug_callback h));
  NBD.set_debug h false;
  let n = List.length !functions in
  NBD.set_export_name h "y";
  show "silent" (bool (fun () -> List.length !functions = n));
  NBD.set_debug_callback h (fun _ _ -> Gc.compact (); 0);
  NBD.set_debug h true;
  NBD.set_export_name h "z";
  NBD.clear_debug_callback h;
  NBD.set_debug h false

let () =
  ignore (Unix.alarm 25);
  (List.assoc Sys.argv.(1)
     [ "settings", settings; "defaults", defaults; "data", data;
       "status", status; "commands", commands; "exports", exports;
       "connections", connections; "collection", collection;
       "tracing", tracing ]) ()
