# services/app/faults/mutex.c: who does not get the lock does nothing.
# caught by: updates of the shared state
/^static int update/,/^}/ s/^\tpthread_mutex_lock(&shared_state_lock);/\tif (pthread_mutex_trylock(\&shared_state_lock) != 0)\n\t\treturn 0;/
