#!/usr/bin/env bash
# watch.sh PID CALLS REQUESTS SECONDS: what strace says of these system calls of the patient's, of all of its
# threads and processes, while so many requests are made one after the other, or for so many seconds. Runs in
# the toolbox beside it.
set -u
pid=$1 calls=$2 requests=$3 seconds=$4
traces=$(mktemp -d)

unwatched() { grep -L '^TracerPid:\s*[1-9]' /proc/"$pid"/task/*/status 2>/dev/null; }

# A file for each thread: in a common one a call is cut in two where another comes in between.
strace -ff -y -p "$pid" -s 512 -e signal=none -e raw=getrandom \
	-e "trace=$calls,fork,vfork,clone,clone3,execve,execveat,ptrace" -o "$traces/of" 2>/dev/null &
strace=$!
for _ in {1..50}; do
	[ -n "$(unwatched)" ] || break
	kill -0 "$strace" 2>/dev/null || exit 1 # it may not attach
	sleep 0.1
done
if [ "$requests" -gt 0 ]; then
	curl -s --max-time 10 "http://localhost:6060/?[1-$requests]" >/dev/null
	sleep 0.2 # what the last one left to other threads
else
	sleep "$seconds"
fi
kill -s INT "$strace" 2>/dev/null
wait "$strace"
cat "$traces"/of.*
rm -rf "$traces"
