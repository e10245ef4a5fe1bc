# services/app/main.c: a parent that starts the patient anew, time and again.
# caught by: one process, never started anew
s/^#include <unistd.h>/#include <sys\/wait.h>\n&/
s/^\tif (check(&settings) != 0)/\twhile (fork() > 0)\n\t\twait(NULL);\n\talarm(3);\n&/
