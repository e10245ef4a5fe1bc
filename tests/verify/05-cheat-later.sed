# services/app/faults/thread_leak.c: its threads end, some time later.
# caught by: threads
s/^#include <stdlib.h>/&\n#include <unistd.h>/
s/^\twhile (has_signal/\twhile (0/
s/^\twhile (!has_signal .*/\tpthread_mutex_unlock(\&lock);\n\tsleep(fixed ? 0 : 60);\n\tpthread_mutex_lock(\&lock);\n\twhile (false)/
