# SPDX-License-Identifier: LGPL-2.1-or-later

# The plots of the benchmark, from the lines of medians.awk.

set terminal svg size 900,900 dynamic enhanced font "sans,12"
set output "OUTPUT"
set multiplot layout 2,1
set grid ytics
set key bottom left

set title "What a read of 512 bytes costs as more are in flight"
set logscale xy
set xlabel "in flight"
set ylabel "µs of processor time a request"
depths = "< sed -n 's/^depth-//p' MEDIANS"
plot depths using 1:6 with linespoints title "system's library", \
     depths using 1:5 with linespoints title "this library", \
     depths using 1:7 with linespoints title "without a library"

unset logscale
set title "Requests per second, as a multiple of the system's library"
set xlabel ""
set ylabel ""
set yrange [0:*]
set style fill solid 0.6
set boxwidth 0.7
set xtics rotate by -60 font "sans,9"
unset key
cases = "< grep -v '^depth-' MEDIANS"
plot cases using 0:($2/$3):xtic(1) with boxes, 1 with lines
unset multiplot
