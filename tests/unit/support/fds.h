/* fds: what every test of the list of descriptors begins with, as cmocka's set-up of a group. */
#ifndef SICKBAY_TESTS_FDS_H
#define SICKBAY_TESTS_FDS_H

int fds_set_up(void **state);

#endif
