# SPDX-License-Identifier: LGPL-2.1-or-later

# Calls the methods of the Python binding and prints what they return:
#
#   python3 methods.py SECTION     one of the functions at the end of this file
#   python3 methods.py list        their names
#   python3 methods.py uncalled    methods that are not in the file $CALLED
#
# Each section adds the names of the methods that it called to the file
# $CALLED.  It runs in a folder of its own, and starts its servers itself,
# but for one that keeps nothing, which listens on $NULL_SOCKET.

import os
import signal
import socket
import sys
import time

import nbd

called = set()


class Handle(nbd.NBD):
    """A handle that notes which methods are called."""

    def __getattribute__(self, name):
        if not name.startswith("_"):
            called.add(name)
        return super().__getattribute__(name)


def methods():
    return [name for name in sorted(dir(nbd.NBD)) if not name.startswith("_")]


def attempt(call):
    try:
        return repr(call())
    except nbd.Error as error:
        return "nbd.Error %s, errno %s" % (error, error.errno)
    except Exception as error:
        return "%s %s" % (type(error).__name__, error)


def show(handle, name, *args, **optional):
    result = attempt(lambda: getattr(handle, name)(*args, **optional))
    words = [repr(a) for a in args
             if not callable(a) and not isinstance(a, nbd.Buffer)]
    print("%s (%s): %s" % (name, ", ".join(words), result))


# What servers say has the numbers of their threads in it.
NBDKIT = ["sh", "-c", 'exec nbdkit "$@" 2> /dev/null', "nbdkit"]
SERVER = NBDKIT + ["-s", "--exit-with-parent"]
MEMORY = SERVER + ["memory", "1M"]


def connected(command=MEMORY, *contexts):
    h = Handle()
    for context in contexts:
        h.add_meta_context(context)
    h.connect_command(command)
    return h


def to_null():
    h = Handle()
    h.connect_unix(os.environ["NULL_SOCKET"])
    return h


def negotiating(command=MEMORY):
    h = Handle()
    h.set_opt_mode(True)
    h.connect_command(command)
    return h


def state(h):
    for name in ("created", "connecting", "negotiating", "ready",
                 "processing", "closed", "dead"):
        show(h, "aio_is_" + name)
    show(h, "connection_state")


def until(h, condition):
    """Polls, no more than some seconds at a time."""
    while not condition():
        h.poll(10000)


def wait_for(h, cookie):
    # 1.14 raises an exception when the command has failed.
    while True:
        try:
            if h.aio_command_completed(cookie):
                return "completed"
        except nbd.Error as error:
            return "failed: %s, errno %s" % (error, error.errno)
        h.poll(10000)


# Where a method takes parameters, those that it is called with in all states.

def nothing(*args):
    print("  a callback is called")
    return 0


BUFFER = nbd.Buffer(512)
PARAMETERS = {
    "add_meta_context": ["base:allocation"],
    "aio_block_status": [512, 0, nothing],
    "aio_cache": [512, 0],
    "aio_command_completed": [1],
    "aio_connect": ["/nonexistent/socket"],
    "aio_connect_command": [["cat"]],
    "aio_connect_socket": [-1],
    "aio_connect_systemd_socket_activation": [[]],
    "aio_connect_tcp": ["127.0.0.1", "1"],
    "aio_connect_unix": ["/nonexistent/socket"],
    "aio_connect_uri": ["nbd+unix:///?socket=/nonexistent/socket"],
    "aio_connect_vsock": [2, 1],
    "aio_opt_list": [nothing],
    "aio_opt_list_meta_context": [nothing],
    "aio_pread": [BUFFER, 0],
    "aio_pread_structured": [BUFFER, 0, nothing],
    "aio_pwrite": [BUFFER, 0],
    "aio_trim": [512, 0],
    "aio_zero": [512, 0],
    "block_status": [512, 0, nothing],
    "cache": [512, 0],
    "can_meta_context": ["base:allocation"],
    "connect_command": [["false"]],
    "connect_socket": [-1],
    "connect_systemd_socket_activation": [[]],
    "connect_tcp": ["127.0.0.1", "1"],
    "connect_unix": ["/nonexistent/socket"],
    "connect_uri": ["nbd+unix:///?socket=/nonexistent/socket"],
    "connect_vsock": [2, 1],
    "get_block_size": [nbd.SIZE_MINIMUM],
    "get_meta_context": [0],
    "kill_subprocess": [0],
    "opt_list": [nothing],
    "opt_list_meta_context": [nothing],
    "poll": [0],
    "pread": [512, 0],
    "pread_structured": [512, 0, nothing],
    "pwrite": [b"x" * 512, 0],
    "set_debug": [False],
    "set_debug_callback": [nothing],
    "set_export_name": ["name"],
    "set_full_info": [True],
    "set_handle_name": ["handle"],
    "set_handshake_flags": [nbd.HANDSHAKE_FLAG_MASK],
    "set_opt_mode": [True],
    "set_pread_initialize": [True],
    "set_private_data": [7],
    "set_request_block_size": [True],
    "set_request_structured_replies": [True],
    "set_strict_mode": [nbd.STRICT_MASK],
    "set_tls": [nbd.TLS_DISABLE],
    "set_tls_certificates": ["/nonexistent"],
    "set_tls_psk_file": ["/nonexistent"],
    "set_tls_username": ["user"],
    "set_tls_verify_peer": [True],
    "set_uri_allow_local_file": [True],
    "set_uri_allow_tls": [nbd.TLS_DISABLE],
    "set_uri_allow_transports": [nbd.ALLOW_TRANSPORT_MASK],
    "trim": [512, 0],
    "zero": [512, 0],
}


def each_alone(make, *without):
    """Every method, each on a handle of its own."""
    for name in methods():
        if name in without:
            continue
        h = make()
        h.set_handle_name("h")
        show(h, name, *PARAMETERS.get(name, []))


# The version is that of the library, and the user depends on the terminal.
DIFFERENT = ["get_version", "get_tls_username"]


def created():
    each_alone(Handle, *DIFFERENT)


def ready():
    # What waits for an answer, or depends on when one arrives.
    each_alone(to_null, *DIFFERENT, "aio_get_fd", "aio_notify_read", "poll")


def options():
    def make():
        h = Handle()
        h.set_opt_mode(True)
        h.connect_unix(os.environ["NULL_SOCKET"])
        return h
    each_alone(make, *DIFFERENT, "aio_get_fd", "aio_notify_read", "poll",
               *[name for name in methods() if name.startswith("aio_opt")])


def dead():
    def make():
        h = Handle()
        try:
            h.connect_unix("/nonexistent/socket")
        except nbd.Error:
            pass
        return h
    each_alone(make, *DIFFERENT)


def closed():
    def make():
        h = to_null()
        h.shutdown()
        return h
    each_alone(make, *DIFFERENT)


def settings():
    h = Handle()
    show(h, "get_handle_name")
    for name, values in (
            ("handle_name", ["", "me", "caf\u00e9"]),
            ("debug", [True, False]),
            ("export_name", ["disk", "x" * 4096, "y" * 4097, ""]),
            ("full_info", [True, False]),
            ("handshake_flags", [0, 1, 2, 3, 4, -1]),
            ("opt_mode", [True, False]),
            ("pread_initialize", [False, True]),
            ("private_data", [0, 7, 2**31]),
            ("request_block_size", [False, True]),
            ("request_structured_replies", [False, True]),
            ("strict_mode", [0, 1, 31, 63, 2**31]),
            ("tls", [nbd.TLS_ALLOW, nbd.TLS_REQUIRE, nbd.TLS_DISABLE, 3]),
            ("tls_username", ["alice", "bob"]),
            ("tls_verify_peer", [False, True])):
        h = Handle()
        h.set_handle_name("h")
        for value in values:
            show(h, "set_" + name, value)
            h.set_debug(False) if name == "debug" else None
            show(h, "get_" + name)
    h = Handle()
    for value in ("/nonexistent", "/tmp", ""):
        show(h, "set_tls_certificates", value)
        show(h, "set_tls_psk_file", value)
    for value in (0, 7, 8, 255):
        show(h, "set_uri_allow_transports", value)
    for value in (0, 1, 2, 3):
        show(h, "set_uri_allow_tls", value)
    for value in (True, False):
        show(h, "set_uri_allow_local_file", value)
    for name in ("base:allocation", "x:y", "", "z" * 4097):
        show(h, "add_meta_context", name)
        show(h, "get_nr_meta_contexts")
    for i in range(5):
        show(h, "get_meta_context", i)
    show(h, "clear_meta_contexts")
    show(h, "get_nr_meta_contexts")
    show(h, "get_package_name")
    show(h, "supports_tls")
    show(h, "supports_uri")
    # The one method of which the result differs.
    version = h.get_version().split(".")
    print("version:", len(version), all(part.isdigit() for part in version))
    state(h)


def wrong_types():
    h = Handle()
    for name, args in (("pread", ["x", 0]), ("pread", [512]),
                       ("pwrite", [5, 0]), ("pwrite", ["text", 0]),
                       ("set_export_name", [5]), ("set_export_name", [None]),
                       ("connect_command", ["nbdkit"]),
                       ("connect_command", [[]]),
                       ("connect_command", [[5]]),
                       ("connect_tcp", [None, "x"]),
                       ("aio_pread", [b"x", 0]),
                       ("block_status", [512, 0, 5]),
                       ("set_debug_callback", ["x"]),
                       ("no_such_method", [])):
        show(h, name, *args)


def data():
    h = connected()
    state(h)
    show(h, "get_size")
    show(h, "pwrite", b"hello, world", 100)
    show(h, "pread", 20, 96)
    show(h, "pwrite", bytearray(b"another"), 4000, nbd.CMD_FLAG_FUA)
    show(h, "pread", 10, 3999)
    show(h, "zero", 512, 0)
    show(h, "zero", 512, 512, nbd.CMD_FLAG_FUA | nbd.CMD_FLAG_NO_HOLE)
    show(h, "zero", 512, 512, nbd.CMD_FLAG_FAST_ZERO)
    show(h, "trim", 512, 3584)
    show(h, "cache", 1024, 0)
    show(h, "flush")
    show(h, "pread", 20, 96)
    show(h, "pread", 512, 1048576)
    show(h, "pread", 512, 1048000)
    show(h, "pread", 0, 0)
    show(h, "pwrite", b"", 0)
    show(h, "pwrite", b"x" * 512, 1048576)
    show(h, "trim", 512, 1048300)
    show(h, "pread", 512, 0, 1)
    show(h, "flush", 1)
    h.set_strict_mode(0)
    show(h, "pread", 512, 1048000)
    show(h, "pwrite", b"x" * 512, 1048576)
    show(h, "shutdown")
    state(h)
    for command in (SERVER + ["-r", "memory", "1M"],
                    SERVER + ["--no-sr", "memory", "1M"],
                    SERVER + ["--filter=nozero", "--filter=nocache",
                              "--filter=nofilter", "memory", "1M"],
                    SERVER + ["--filter=blocksize-policy", "memory", "1M",
                              "blocksize-minimum=512",
                              "blocksize-preferred=4096",
                              "blocksize-maximum=65536",
                              "blocksize-error-policy=error"],
                    SERVER + ["--filter=error", "memory", "1M",
                              "error=ENOSPC", "error-rate=100%"]):
        print(command[len(SERVER):])
        h = connected(command)
        for name in ("cache", "df", "fast_zero", "flush", "fua",
                     "multi_conn", "trim", "zero"):
            show(h, "can_" + name)
        show(h, "is_read_only")
        show(h, "is_rotational")
        for size in (nbd.SIZE_MINIMUM, nbd.SIZE_PREFERRED, nbd.SIZE_MAXIMUM,
                     5):
            show(h, "get_block_size", size)
        show(h, "get_structured_replies_negotiated")
        show(h, "get_tls_negotiated")
        show(h, "get_protocol")
        show(h, "pread", 16, 0)
        show(h, "pread", 16, 0, nbd.CMD_FLAG_DF)
        show(h, "pwrite", b"1" * 512, 512)
        show(h, "pwrite", b"1" * 70000, 0)
        show(h, "trim", 512, 512)
        show(h, "zero", 512, 512)
        show(h, "cache", 512, 512)
        show(h, "flush")


def chunks():
    h = connected(SERVER + ["data", "1 @0x8000 2 @0x20000 3", "size=1M"],
                  "base:allocation")

    def chunk(buf, offset, status, error):
        print("  chunk of %d at %d, status %d, error %r, %r" %
              (len(buf), offset, status, error, bytes(buf[:4])))
        return 0

    def extents(context, offset, entries, error):
        print("  extents:", context, offset, entries, error)
        return 0

    def refuses(context, offset, entries, error):
        error.value = 28
        return -1

    def raises(*args):
        raise ValueError("by a callback")

    show(h, "can_meta_context", "base:allocation")
    show(h, "can_meta_context", "x:y")
    for flags in (0, nbd.CMD_FLAG_DF, 64):
        buf = attempt(lambda: hash(bytes(
            h.pread_structured(0x30000, 0, chunk, flags))) != 0)
        print("pread_structured:", buf)
    show(h, "pread_structured", 16, 2**20, chunk)
    for args in ((2**20, 0), (512, 0x8000), (100, 2**20), (0, 0)):
        show(h, "block_status", *args, extents)
    show(h, "block_status", 2**20, 0, extents, nbd.CMD_FLAG_REQ_ONE)
    show(h, "block_status", 2**20, 0, refuses)
    show(h, "block_status", 2**20, 0, raises)
    show(h, "pread_structured", 16, 0, raises)
    h = connected(SERVER + ["--no-sr", "memory", "1M"], "base:allocation")
    show(h, "block_status", 512, 0, extents)
    buf = h.pread_structured(512, 0, chunk)
    print(len(buf))


def commands():
    h = connected(SERVER + ["data", "1 @0x8000 2", "size=1M"],
                  "base:allocation")

    def done(error):
        print("  completed:", error)
        return 1

    def later(error):
        print("  completed:", error)
        return 0

    def chunk(buf, offset, status, error):
        print("  chunk of %d at %d, status %d" % (len(buf), offset, status))
        return 0

    def extents(context, offset, entries, error):
        print("  extents:", context, offset, entries)
        return 0

    show(h, "aio_peek_command_completed")
    show(h, "aio_in_flight")
    show(h, "aio_get_direction")
    print(h.aio_get_fd() >= 0)
    buf = nbd.Buffer(16)
    print(buf.is_zero(), len(buf), buf.size())
    text = nbd.Buffer.from_bytearray(bytearray(b"sixteen bytes..."))
    for name, args in (("aio_pwrite", [text, 0]), ("aio_flush", []),
                       ("aio_pread", [buf, 0]),
                       ("aio_pread_structured", [buf, 0, chunk]),
                       ("aio_trim", [512, 1024]), ("aio_zero", [512, 1024]),
                       ("aio_cache", [512, 1024]),
                       ("aio_block_status", [2**20, 0, extents])):
        cookie = getattr(h, name)(*args)
        print(name, cookie, wait_for(h, cookie))
        cookie = getattr(h, name)(*args, later)
        print(name, cookie, wait_for(h, cookie))
        getattr(h, name)(*args, completion=done)
        until(h, lambda: h.aio_in_flight() == 0)
        print(attempt(h.aio_peek_command_completed))
        print(bytes(buf.to_bytearray()))
    show(h, "aio_command_completed", 1000)
    show(h, "aio_command_completed", 0)
    # Many at once.
    buffers = [nbd.Buffer(4096) for i in range(64)]
    cookies = [h.aio_pread(b, 512 * i) for i, b in enumerate(buffers)]
    print(h.aio_in_flight() > 0)
    for cookie in cookies:
        wait_for(h, cookie)
    print([i for i, b in enumerate(buffers) if not b.is_zero()])
    print(h.aio_in_flight())
    # Each by the functions that poll() calls.
    cookie = h.aio_pread(buf, 0)
    import select
    while h.aio_peek_command_completed() == 0:
        poller = select.poll()
        direction = h.aio_get_direction()
        events = 0
        if direction & nbd.AIO_DIRECTION_READ:
            events |= select.POLLIN
        if direction & nbd.AIO_DIRECTION_WRITE:
            events |= select.POLLOUT
        poller.register(h.aio_get_fd(), events)
        for _, event in poller.poll(10000):
            if event & select.POLLIN:
                h.aio_notify_read()
            elif event & select.POLLOUT:
                h.aio_notify_write()
    print(wait_for(h, cookie))
    # An error of the server.
    e = connected(SERVER + ["--filter=error", "memory", "1M",
                            "error-rate=100%"])
    cookie = e.aio_pread(buf, 0)
    print(wait_for(e, cookie))
    cookie = e.aio_pwrite(text, 0, later)
    print(wait_for(e, cookie))
    show(h, "aio_disconnect")
    until(h, lambda: h.aio_is_closed() or h.aio_is_dead())
    state(h)


def connections():
    h = Handle()
    show(h, "kill_subprocess", signal.SIGTERM)
    h = connected()
    show(h, "connect_command", MEMORY)
    show(h, "kill_subprocess", 0)
    show(h, "kill_subprocess", signal.SIGKILL)

    h = Handle()
    show(h, "connect_systemd_socket_activation", NBDKIT + ["memory", "2M"])
    show(h, "get_size")
    show(h, "shutdown")

    h = Handle()
    show(h, "aio_connect_systemd_socket_activation", NBDKIT + ["null", "3M"])
    until(h, lambda: h.aio_is_ready())
    show(h, "get_size")

    h = Handle()
    show(h, "aio_connect_command", MEMORY)
    until(h, lambda: h.aio_is_ready())
    show(h, "get_size")

    sock = os.getcwd() + "/sock"
    os.system("nbdkit -U sock -P pid memory 4M")
    try:
        for name, args in (("connect_unix", [sock]),
                           ("connect_uri", ["nbd+unix:///x?socket=" + sock]),
                           ("aio_connect_unix", [sock]),
                           ("aio_connect", [sock]),
                           ("aio_connect_uri",
                            ["nbd+unix:///?socket=" + sock])):
            h = Handle()
            show(h, name, *args)
            until(h, lambda: h.aio_is_ready())
            show(h, "get_size")
            show(h, "get_uri")
            show(h, "shutdown", nbd.SHUTDOWN_ABANDON_PENDING)
        for name in ("connect_socket", "aio_connect_socket"):
            s = socket.socket(socket.AF_UNIX)
            s.connect(sock)
            h = Handle()
            print(name, attempt(lambda: getattr(h, name)(s.detach())))
            until(h, lambda: h.aio_is_ready())
            show(h, "get_size")
            # The server waits for its clients before it ends.
            show(h, "shutdown")
    finally:
        pid = int(open("pid").read())
        os.kill(pid, signal.SIGTERM)
        while True:
            try:
                os.kill(pid, 0)
                time.sleep(0.01)
            except ProcessLookupError:
                break
    for path in ("pid", "sock"):
        if os.path.exists(path):
            os.unlink(path)
    for name, args in (("connect_tcp", ["127.0.0.1", "1"]),
                       ("connect_tcp", ["127.0.0.1", "no-such-service"]),
                       ("connect_unix", [sock]),
                       ("connect_uri", ["nbd://127.0.0.1:1/"]),
                       ("connect_uri", ["http://localhost/"]),
                       ("connect_command", [["false"]])):
        h = Handle()
        show(h, name, *args)
        show(h, "aio_is_dead")
    # Over TCP, to a port that the system chooses.
    for name in ("connect_tcp", "aio_connect_tcp"):
        listener = socket.create_server(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
        os.environ["LISTEN_FDS"] = "1"
        pid = os.fork()
        if pid == 0:
            os.environ["LISTEN_PID"] = str(os.getpid())
            os.dup2(listener.fileno(), 3)
            os.set_inheritable(3, True)
            os.execvp("sh", NBDKIT + ["memory", "5M"])
        h = Handle()
        print(name, attempt(lambda: getattr(h, name)("127.0.0.1", port)))
        until(h, lambda: h.aio_is_ready())
        show(h, "get_size")
        show(h, "shutdown")
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        del os.environ["LISTEN_FDS"]


def exports():
    os.mkdir("disks")
    for name, size in (("one", 1000), ("two", 0)):
        with open("disks/" + name, "wb") as f:
            f.truncate(size)
    command = SERVER + ["file", "dir=" + os.getcwd() + "/disks"]

    def export(*args):
        print("  export:", args)
        return 0

    def context(*args):
        print("  context:", args)
        return 0

    def done(error):
        print("  completed:", error)
        return 0

    def stops(*args):
        raise ValueError("by a callback")

    h = negotiating(command)
    state(h)
    show(h, "opt_list", export)
    show(h, "opt_list", stops)
    show(h, "opt_info")
    show(h, "set_full_info", True)
    show(h, "set_export_name", "one")
    show(h, "opt_info")
    show(h, "get_size")
    show(h, "get_canonical_export_name")
    show(h, "get_export_description")
    show(h, "opt_list_meta_context", context)
    h.add_meta_context("base:allocation")
    h.add_meta_context("x:y")
    show(h, "opt_list_meta_context", context)
    show(h, "set_export_name", "three")
    show(h, "opt_info")
    show(h, "get_size")
    show(h, "opt_go")
    show(h, "set_export_name", "two")
    show(h, "opt_go")
    show(h, "get_size")
    show(h, "get_export_name")
    show(h, "can_meta_context", "base:allocation")
    show(h, "can_meta_context", "x:y")
    state(h)
    show(h, "opt_abort")

    h = negotiating(command)
    show(h, "opt_abort")
    state(h)

    h = negotiating(command)
    h.set_export_name("one")
    for name, args in (("aio_opt_list", [export]), ("aio_opt_info", []),
                       ("aio_opt_list_meta_context", [context]),
                       ("aio_opt_go", [])):
        # The answer may arrive within the call.
        result = attempt(lambda: getattr(h, name)(*args, completion=done))
        until(h, lambda: not h.aio_is_connecting())
        print(name, result)
    show(h, "get_size")
    h = negotiating(command)
    show(h, "aio_opt_abort")
    until(h, lambda: h.aio_is_closed())


def tracing():
    h = Handle()
    h.set_handle_name("h")
    lines = []

    def debug(context, message):
        lines.append(context)
        return 0

    show(h, "set_debug_callback", debug)
    show(h, "set_debug", True)
    show(h, "get_debug")
    h.set_export_name("x")
    h.get_export_name()
    show(h, "set_debug", False)
    print("set_export_name:", "nbd_set_export_name" in lines)
    print("get_export_name:", "nbd_get_export_name" in lines)
    show(h, "clear_debug_callback")
    n = len(lines)
    h.set_export_name("y")
    print(len(lines) == n)


def memory():
    """Handles, buffers and callbacks that Python collects."""
    import gc
    for i in range(20):
        h = connected()
        b = nbd.Buffer(65536)
        h.aio_pread(b, 0, lambda error: 1)
        if i % 2:
            del h
        if i % 3:
            gc.collect()
    gc.collect()
    print("alive")


SECTIONS = (created, ready, options, dead, closed, settings, wrong_types,
            data, chunks, commands, connections, exports, tracing, memory)


def main(name):
    if name == "list":
        print(*[section.__name__ for section in SECTIONS])
        return 0
    if name == "uncalled":
        with open(os.environ["CALLED"]) as f:
            names = set(f.read().split())
        for method in methods():
            if method not in names:
                print("not called:", method)
        return 1 if set(methods()) - names else 0
    signal.alarm(25)
    {section.__name__: section for section in SECTIONS}[name]()
    with open(os.environ["CALLED"], "a") as f:
        f.write("\n".join(sorted(called)) + "\n")
    return 0


sys.exit(main(sys.argv[1]))
