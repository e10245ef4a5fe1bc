# services/app/faults/mutex.c: unlocks before it waits.
/^\twait_for(&may_unlock);/ { s//\tpthread_mutex_unlock(\&shared_state_lock);\n&/; n; d }
