# services/app/faults/thread_leak.c: starts no threads.
# caught by: threads begun
s/i < THREADS_PER_REQUEST/i < THREADS_PER_REQUEST - 5/
