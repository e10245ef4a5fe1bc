# shellcheck shell=bash
# Sourced by every bash in the toolbox. The patient's PID changes when it crashes and comes back, so
# it is looked up anew at each prompt.
APP_PID=$(app-pid)
export APP_PID

case $- in
*i*)
	# shellcheck disable=SC2154
	if [ -z "${SICKBAY_GREETED:-}" ]; then
		export SICKBAY_GREETED=1
		cat <<GREETING

  Sickbay toolbox. The patient is PID ${APP_PID:-(not running)}, always in \$APP_PID; it listens on localhost:6060.

    pprof  curl  wrk  jq        lsof  ss  netstat  ps  top
    gdb  gcore  open-core       strace  ltrace  prlimit     perf

  To try:
    lsof -p \$APP_PID                    what it has open
    gdb -p \$APP_PID -batch -ex bt       where its first thread is
    curl 'localhost:6060/goto?step=2'; curl -s localhost:6060/ &
    pprof -http=:9000 'http://localhost:6060/debug/pprof/profile?seconds=5'

  Sources are in /src/sickbay; files left in /captures are in profiles/captures on your machine.

GREETING
	fi
	PROMPT_COMMAND='APP_PID=$(app-pid)'
	PS1='toolbox (app ${APP_PID:-is down}) \w\$ '
	;;
esac
