/*
 * memory: what the allocator may give back to the system.
 *
 * Thread:    MT-Safe.
 */
#ifndef SICKBAY_COMMON_MEMORY_H
#define SICKBAY_COMMON_MEMORY_H

/* Returns free memory to the kernel: RSS shows what is used, not what once was. */
void memory_return_to_system(void);

#endif
