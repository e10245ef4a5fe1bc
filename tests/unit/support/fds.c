#include "fds.h"

#include "probe/fd.h"
#include "probe/modules.h"
#include "probe/thread.h"
#include "test.h"

int fds_set_up(void **state)
{
	(void)state;
	probe_thread_init();
	assert_int_equal(modules_init(), 0);
	return probe_fd_start();
}
