# shellcheck shell=bash
# Sourced by every bash in the toolbox. The patient's PID changes when it crashes and comes back, so
# it is looked up anew at each prompt. Among the leaks the patient is the leaky program, and the fixed one
# beside it has a PID to know as well.
look_up_patient() {
	APP_PID=$(app-pid)
	[ -z "${SICKBAY_FIXED:-}" ] || FIXED_PID=$(app-pid "$SICKBAY_FIXED")
}

greet_beside_patient() {
	cat <<GREETING

  Sickbay toolbox. The patient is PID ${APP_PID:-(not running)}, always in \$APP_PID; it listens on localhost:6060.

    pprof  curl  wrk  jq        lsof  ss  netstat  ps  top
    gdb  gcore  open-core       strace  ltrace  prlimit     perf

  To try:
    lsof -p \$APP_PID                    what it has open
    gdb -p \$APP_PID -batch -ex bt       where its first thread is
    curl 'localhost:6060/goto?step=2'; curl -s localhost:6060/ &
    pprof -http=:9000 'http://localhost:6060/debug/pprof/profile?seconds=5'

  Sources are in /src/sickbay; files left in /captures are in $SICKBAY_CAPTURES on your machine.

GREETING
}

greet_among_leaks() {
	cat <<GREETING

  Sickbay toolbox, among the leaks.
    leaky   PID ${APP_PID:-(not running)}, always in \$APP_PID; its debug server is on localhost:6060
    fixed   PID ${FIXED_PID:-(not running)}, always in \$FIXED_PID; its debug server is on localhost:6061

  To try:
    ls /proc/\$APP_PID/fd | wc -l        how much it has open
    lsof -p \$APP_PID | tail             what that is
    lsof -nP -i :8080                   the connections of the HTTP pair; or: ss -tnp
    curl -s 'localhost:6060/debug/pprof/fd?debug=1' | head -n 12
    pprof -http=:9000 http://localhost:6060/debug/pprof/fd

  Sources are in /src/sickbay/services/leaks; files left in /captures are in $SICKBAY_CAPTURES on your machine.

GREETING
}

look_up_patient
export APP_PID FIXED_PID

case $- in
*i*)
	# shellcheck disable=SC2154
	if [ -z "${SICKBAY_GREETED:-}" ]; then
		export SICKBAY_GREETED=1
		if [ -n "${SICKBAY_FIXED:-}" ]; then greet_among_leaks; else greet_beside_patient; fi
	fi
	PROMPT_COMMAND=look_up_patient
	PS1='toolbox (app ${APP_PID:-is down}) \w\$ '
	[ -z "${SICKBAY_FIXED:-}" ] || PS1=${PS1/app/leaky}
	;;
esac
