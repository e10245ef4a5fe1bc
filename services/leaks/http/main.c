/* http-leak, or http-fixed: whichever of leak.c and fixed.c it is linked with. */
#include "leaks/http/events.h"

int main(int argc, char **argv)
{
	return pair_main(&event_pair, argc, argv);
}
