# shellcheck shell=bash
# A room as large as a table: each attendee is ill of something else, and none is in another's way.

ROOM_SIZE=${ROOM_SIZE:-5}

room() {
	COMPOSE_PROJECT_NAME=$E2E_PROJECT SICKBAY_PORT_ROOM=$((E2E_PORT + 90)) make --no-print-directory room "$@" 2>&1
}

test_room_of_many_starts_and_each_has_an_illness_of_their_own() {
	local attendee said begun=$SECONDS
	room "N=$ROOM_SIZE"
	echo "a room of $ROOM_SIZE: $((SECONDS - begun)) s"
	for ((attendee = 1; attendee <= ROOM_SIZE; attendee++)); do
		STACK=$E2E_PROJECT-room-$attendee goto_step "$((attendee % 6 + 2))"
	done
	said=$(room STATUS=1)
	for ((attendee = 1; attendee <= ROOM_SIZE; attendee++)); do
		expect_match "$said" "^$attendee +$((attendee % 6 + 2)) +leaky +0 +0 +healthy " 'the status'
	done
	expect_match "$(room RESET=all)" "^sickbay: attendee $ROOM_SIZE: step 0; "
	expect_match "$(room STOP=1 VOLUMES=1)" "^sickbay: taken down: $ROOM_SIZE of $ROOM_SIZE attendees"
	rm -rf "profiles/$E2E_PROJECT"-room-*
}
