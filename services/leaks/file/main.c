/* file-leak, or file-fixed: whichever of leak.c and fixed.c it is linked with. */
#include "leaks/file/files.h"

int main(int argc, char **argv)
{
	return pair_main(&file_pair, argc, argv);
}
