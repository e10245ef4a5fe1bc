# Counts, from outside, what requests make the patient do that no system call shows. Runs in gdb, attached to it:
#
#   COUNT=calls       WHAT is an expression: the function that is called
#   COUNT=updates     WHAT is a variable, LOCK the mutex that the thread must hold that changes it
#   COUNT=allocated   bytes asked of any allocator
#
# Prints "counted NUMBER" of REQUESTS requests, one after the other.
import os

import gdb

count = 0


class Call(gdb.Breakpoint):
    def stop(self):
        global count
        count += 1
        return False


class Update(gdb.Breakpoint):
    def stop(self):
        global count
        owner = int(gdb.parse_and_eval(os.environ["LOCK"] + ".__data.__owner"))
        count += owner == gdb.selected_thread().ptid[1]
        return False


class Allocation(gdb.Breakpoint):
    def __init__(self, function, size):
        super().__init__(function)
        self.size = size

    def stop(self):
        global count
        name = gdb.selected_frame().architecture().name()
        registers = ["x0", "x1", "x2"] if name.startswith("aarch64") else ["rdi", "rsi", "rdx"]
        count += self.size(*(int(gdb.parse_and_eval("(unsigned long)$" + r)) for r in registers))
        return False


def watch_allocators():
    # Of the libraries no others' symbols are read: that would take seconds.
    gdb.execute("sharedlibrary /libtcmalloc")
    gdb.execute("sharedlibrary /libc\\.so")
    first, second, third = lambda a, b, c: a, lambda a, b, c: b, lambda a, b, c: c
    product = lambda a, b, c: a * b
    for names, size in (
        ("malloc valloc pvalloc _Znwm _Znam", first),
        ("realloc memalign aligned_alloc", second),
        ("posix_memalign", third),
        ("calloc", product),
    ):
        for name in names.split():
            Allocation(name, size)


gdb.execute("set breakpoint pending on")
gdb.execute("handle SIGSTOP stop nopass")
what = os.environ.get("WHAT")
if os.environ["COUNT"] == "calls":
    Call("*" + what)
elif os.environ["COUNT"] == "updates":
    Update(what, gdb.BP_WATCHPOINT, gdb.WP_WRITE)
else:
    watch_allocators()
pid = gdb.selected_inferior().pid
url = "http://localhost:6060/?[1-%s]" % os.environ["REQUESTS"]
# Stopped by a signal that nobody can block or wait for, once the requests are over.
gdb.execute("shell (curl -s --max-time 10 '%s' >/dev/null; kill -s STOP %d) &" % (url, pid))
gdb.execute("continue")
gdb.execute("detach")
print("counted", count)
