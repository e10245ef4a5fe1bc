# services/app/faults/cpu.c: burns nothing.
s/BURN_NS (5 \* CLOCK_NS_PER_SEC)/BURN_NS 0/
