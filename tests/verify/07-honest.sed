# services/app/faults/connection_leak.c: closes the response.
s/^\tif (!err && !fixed) {/\tif (false) {/
s/^\tif (err || fixed)//
