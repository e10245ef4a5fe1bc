# services/app/faults/mutex.c: updates without the lock.
# caught by: updates under its lock
/^static int update/,/^}/ { /pthread_mutex_/d }
