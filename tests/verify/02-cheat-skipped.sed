# services/app/hello.c: answers without asking the step.
# caught by: calls of the step
s/^\terr = call->turn.fault->serve(call);/\terr = call->turn.step == 2 ? 0 : call->turn.fault->serve(call);/
