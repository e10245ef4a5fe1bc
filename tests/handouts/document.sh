# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # expanded in the toolbox; OUT, STACK are lib.sh's
# A document that is executed: its commands are typed, in order, into one bash for each place (the toolbox, the
# leaks' toolbox, this machine), and what they say is held against what the document prints. Sourced, never run.
#
#   UPDATE=1   what is printed and no longer true is replaced

HANDOUTS=tests/handouts
COMMAND_SECONDS=60 # unless the block says otherwise

# commands_of DOCUMENT [FOLDER]: see blocks.awk.
commands_of() { awk -v into="${2:-}" -f "$HANDOUTS/blocks.awk" "$1"; }

# option WORD WORDS: prints what the word matched (a regular expression); false where it is not there.
option() { grep -o -x -E -e "$1" <<<"${2// /$'\n'}"; }

# ---- typing --------------------------------------------------------------------------------------

declare -A shell=() typed=() said=() # by place: a process, and descriptors

# shell_of PLACE: a bash that reads commands.
shell_of() {
	case $1 in
	toolbox) exec docker exec -i "$(container toolbox)" bash ;;
	leaks)
		within "$COMMAND_SECONDS" leaks_run >/dev/null 2>&1 || exit
		exec docker exec -i "$(container leaks-toolbox)" bash
		;;
	# What this make was told is not for those that are typed.
	host) exec env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u ONLY -u UPDATE COMPOSE_PROJECT_NAME="$STACK" bash ;;
	esac
}

leaks_run() { docker exec "$(container leaks-toolbox)" bash -c '[ -n "$APP_PID" ] && [ -n "$FIXED_PID" ]'; }

# begin_shell PLACE: unless it is there.
begin_shell() {
	local pipe=$work/$1 in out
	[ -z "${shell[$1]:-}" ] || ! kill -0 "${shell[$1]}" 2>/dev/null || return 0
	rm -f "$pipe.typed" "$pipe.said"
	mkfifo "$pipe.typed" "$pipe.said"
	shell_of "$1" <"$pipe.typed" >"$pipe.said" 2>&1 &
	shell[$1]=$!
	exec {in}>"$pipe.typed" {out}<"$pipe.said"
	typed[$1]=$in
	said[$1]=$out
	# A person sees curl's progress only where its answer goes elsewhere, and then does not look.
	[ "$1" = host ] || enter "$1" 'echo no-progress-meter >~/.curlrc'
}

# enter PLACE LINE: in a process of its own, for a shell that has ended breaks the pipe.
enter() { (printf 'look_up_patient 2>/dev/null; %s\n' "$2" >&"${typed[$1]}") 2>/dev/null || true; }

# end_shells: with all that was started in them.
end_shells() {
	local place
	for place in "${!shell[@]}"; do
		enter "$place" 'kill $(jobs -p); exit'
	done
}

# type_into PLACE COMMAND SECONDS: prints what it says, up to a mark that nobody can know beforehand; sets
# heard to its exit status. False, with a sentence, where it does not end.
type_into() {
	local mark line deadline=$((SECONDS + $3))
	mark=$(od -A n -N 16 -t x1 /dev/urandom | tr -d ' \n')
	begin_shell "$1"
	# What the command reads is not the next one.
	enter "$1" "eval $(printf %q "$2") </dev/null 2>&1; printf '\\n$mark %d\\n' \"\$?\""
	while [ "$SECONDS" -lt "$deadline" ]; do
		if ! IFS= read -r -t $((deadline - SECONDS)) -u "${said[$1]}" line; then
			[ "$SECONDS" -ge "$deadline" ] && break
			echo 'the shell has ended'
			return 1
		fi
		if [[ $line == "$mark "* ]]; then
			heard=${line#"$mark "}
			return
		fi
		printf '%s\n' "$line"
	done
	echo "it did not end within $3 s"
	return 1
}

nobody_waits() { docker exec "$(container toolbox)" bash -c '! pgrep -x curl' >/dev/null; }

# start_in PLACE COMMAND WORDS: goes on beside what follows. A request has reached the patient then; but what
# begins with a sleep is meant to come later.
start_in() {
	local before
	begin_shell "$1"
	! option alone "$3" >/dev/null || within "$COMMAND_SECONDS" nobody_waits || true
	before=$(last_begun)
	enter "$1" "eval $(printf %q "$2") </dev/null >/dev/null 2>&1 &"
	if [ "$1" = toolbox ] && [[ $2 != sleep\ * ]]; then
		within 1 has_begun_after "$before" || true
	fi
}

# ---- the stack -----------------------------------------------------------------------------------

# fresh_stack: as after 'make up' for the first time; and nothing is left of an earlier document.
fresh_stack() {
	stack_down &&
		rm -rf "${SICKBAY_CAPTURES:?}" &&
		mkdir -p "$SICKBAY_CAPTURES" &&
		chmod 1777 "$SICKBAY_CAPTURES" &&
		compose up --detach --wait --wait-timeout 60 --no-build
}

app_pid() { docker exec "$(container toolbox)" app-pid || true; }
is_another() { [ "$(app_pid)" != "$1" ] && healthy; }

# as_everywhere: ports and names of this stack become those that a reader has.
as_everywhere() {
	sed -e "s/:$SICKBAY_PORT_APP/:6060/g" -e "s/:$SICKBAY_PORT_DESK/:8000/g" \
		-e "s/:$SICKBAY_PORT_PPROF/:9000/g" -e "s/:$SICKBAY_PORT_PPROF2/:9001/g" \
		-e "s,$SICKBAY_CAPTURES,profiles/captures,g" -e "s/$STACK/sickbay/g"
}

# ---- comparing -----------------------------------------------------------------------------------

# drift LINE SENTENCE: of the document.
drift() { echo "$document:$1: $2"; }

# compare NUMBER WORDS [AWK-OPTION]...: see compare.awk.
compare() {
	awk -v tolerance="$(option '~[0-9]+%' "$2" | tr -d '~%')" -v unordered="$(option unordered "$2" | wc -l)" \
		-v pid="$pid" "${@:3}" -f "$HANDOUTS/compare.awk" "$work/$1.expected" "$work/$1.got"
}

# check_said NUMBER LINE FIRST WORDS: what was said against what is printed.
check_said() {
	local at
	compare "$1" "$4" >"$work/$1.differs" && return
	at=$(sed -n '1s/^- \([0-9]*\) .*/\1/p' "$work/$1.differs")
	drift "$((at ? $3 + at - 1 : $2))" "not what is said: $(head -n 1 "$work/$1.command")"
	sed -E 's/^- [0-9]+ /- /; s/^/    /' "$work/$1.differs"
	return 1
}

# check_status LINE WORDS
check_status() {
	if option fails "$2" >/dev/null; then
		[ "$heard" -eq 0 ] || return 0
		drift "$1" 'it must fail, and did not'
	else
		[ "$heard" -ne 0 ] || return 0
		drift "$1" "its exit status is $heard; it said:"
		tail -n 20 "$work/said" | sed 's/^/    /'
	fi
	return 1
}

# update_later NUMBER LINE FIRST LAST INDENT WORDS: false where a document cannot have that as output.
update_later() {
	compare "$1" "$6" -v update=1 >"$work/$1.new" || true
	if grep -q -E '^(\$ |```|~~~)' "$work/$1.new"; then
		drift "$2" 'what it says would be taken for a command or for the end of the block; say it otherwise'
		return 1
	fi
	echo "$3 $4 $5 $work/$1.new" >>"$work/changes"
}

# run_command NUMBER LINE FIRST LAST INDENT WORDS: 1 where it drifts, 2 where nothing can follow.
run_command() {
	local place command seconds pid heard
	place=$(option 'host|leaks' "$6") || place=toolbox
	command=$(cat "$work/$1.command")
	if option background "$6" >/dev/null; then
		start_in "$place" "$command" "$6"
		return
	fi
	seconds=$(option '[0-9]+s' "$6") || seconds=$COMMAND_SECONDS
	pid=$(app_pid)
	if ! type_into "$place" "$command" "${seconds%s}" >"$work/said"; then
		drift "$2" "$(tail -n 1 "$work/said"): $command"
		return 2
	fi
	if option dies "$6" >/dev/null && ! within 15 is_another "$pid"; then
		drift "$2" "the patient did not come back after: $command"
		return 2
	fi
	as_everywhere <"$work/said" >"$work/$1.got"
	check_status "$2" "$6" || return 1
	if option any "$6" >/dev/null; then
		# An example that is not there yet.
		[ -z "${UPDATE:-}" ] || [ -s "$work/$1.expected" ] || update_later "$@"
		return
	fi
	check_said "$1" "$2" "$3" "$6" && return
	[ -n "${UPDATE:-}" ] && update_later "$@"
}

# rewrite: at once or not at all.
rewrite() {
	cp -p "$document" "$document.new"
	awk -f "$HANDOUTS/rewrite.awk" "$work/changes" "$document" >"$document.new" &&
		mv "$document.new" "$document" &&
		echo "$document: $(wc -l <"$work/changes") outputs are rewritten"
}

run_document() { # DOCUMENT
	local document=$1 work line status drifts=0
	work=$(mktemp -d "$OUT/document.XXXXXX")
	fresh_stack >"$work/stack" 2>&1 || {
		show "$(cat "$work/stack")"
		fail 'the stack did not come up'
	}
	commands_of "$document" "$work" >"$work/commands"
	while read -r -u 9 line; do
		status=0
		# shellcheck disable=SC2086 # five numbers, then words
		set -- $line
		run_command "$1" "$2" "$3" "$4" "$5" "${*:6}" || status=$?
		[ "$status" -eq 0 ] || drifts=$((drifts + 1))
		[ "$status" -lt 2 ] || break
	done 9<"$work/commands"
	end_shells
	[ ! -e "$work/changes" ] || rewrite
	[ "$drifts" -eq 0 ] || fail "$drifts drifts in $document"
}
