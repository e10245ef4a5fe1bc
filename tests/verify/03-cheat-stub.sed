# services/app/faults/memory_leak.c: makes no random bytes.
# caught by: random bytes
s/err = random_fill(.*/err = 0;/
s/^#include "common\/random.h"//
