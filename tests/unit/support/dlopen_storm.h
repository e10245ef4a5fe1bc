/*
 * dlopen_storm: threads that load and unload a library without end, for what must survive beside
 * them.
 */
#ifndef SICKBAY_TESTS_DLOPEN_STORM_H
#define SICKBAY_TESTS_DLOPEN_STORM_H

#include <pthread.h>
#include <stddef.h>

#define DLOPEN_STORM_THREADS 2

void dlopen_storm_start(void);
/* Joins them; returns how many times they loaded it. */
size_t dlopen_storm_stop(void);
pthread_t dlopen_storm_thread(int index);

#endif
