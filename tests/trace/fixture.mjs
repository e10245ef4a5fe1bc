// node fixture.mjs FILE: writes a small trace with everything the viewer is tested with: a process
// with named threads, nested slices with arguments (a list among them), counters, a flow, and samples
// with callstacks. Reads like step 6: a request makes five files, and then burns CPU.
//
// Source: Perfetto's trace format; field numbers are those of services/proto where it has them.
import fs from 'node:fs';

import {field, message} from './protobuf.mjs';

const PID = 4711, MAIN = 4711, WORKER = 4713;
const PROCESS_TRACK = 1, LOOP_TRACK = 2, WORKER_TRACK = 3, HEAP_TRACK = 4;
const SEQUENCE = 900001;
const START_NS = 1_000_000_000_000n;
const BEGIN = 1, END = 2, INSTANT = 3, COUNTER = 4;

const packets = [];
const at = ms => START_NS + BigInt(Math.round(ms * 1e6));

function packet(fields) {
	packets.push(field(1, message({10: SEQUENCE, 13: packets.length ? 2 : 1, ...fields})));
}

const event = (ms, fields) => packet({8: at(ms), 11: message(fields)});
const begin = (ms, track, name, more) => event(ms, {9: BEGIN, 11: track, 22: 'app', 23: name, ...more});
const end = (ms, track) => event(ms, {9: END, 11: track});
const counter = (ms, track, value) => event(ms, {9: COUNTER, 11: track, 30: value});

// A debug annotation; a list becomes a nested array.
function annotation(name, value) {
	if (Array.isArray(value))
		return {10: name, 12: value.map(one => annotation(undefined, one))};
	return {10: name, [typeof value === 'number' ? 4 : 6]: value};
}

const args = object => ({4: Object.entries(object).map(([name, value]) => annotation(name, value))});

function describe() {
	// Interned once: functions, a mapping, frames, and callstacks from the outermost frame on.
	const functions = ['main', 'worker_main', 'hello_world_handler', 'create_files', 'mkstemp', 'eat_cpu'];
	const interned = {
		5: functions.map((name, i) => ({1: i + 1, 2: name})),
		6: functions.map((_, i) => ({1: i + 1, 2: i + 1, 3: 1, 4: 4096 * (i + 1)})),
		7: [{1: 1, 2: [2, 3, 4, 5]}, {1: 2, 2: [2, 3, 6]}],
		16: {1: 1, 2: 'cafe'},
		17: {1: 1, 2: 'sickbay-app'},
		19: {1: 1, 2: 1, 4: 4096, 5: 1048576, 7: 1},
	};

	packet({12: interned, 59: {12: {1: {2: 100, 4: 1, 10: 'cpu-clock'}}}});
	packet({60: {1: PROCESS_TRACK, 3: {1: PID, 6: 'sickbay-app'}}});
	packet({60: {1: LOOP_TRACK, 5: PROCESS_TRACK, 4: {1: PID, 2: MAIN, 5: 'loop-0'}}});
	packet({60: {1: WORKER_TRACK, 5: PROCESS_TRACK, 4: {1: PID, 2: WORKER, 5: 'worker-1'}}});
	packet({60: {1: HEAP_TRACK, 5: PROCESS_TRACK, 2: 'heap in use', 8: {3: 3}}});
}

function serve(ms) {
	begin(ms, LOOP_TRACK, 'GET /', {...args({path: '/', step: 6}), 36: 77});
	begin(ms + 1, WORKER_TRACK, 'hello_world_handler', {42: 77});
	begin(ms + 2, WORKER_TRACK, 'create_files', args({directory: '/tmp/sickbay-AbCdEf'}));
	for (let i = 0; i < 5; i++) {
		begin(ms + 3 + 3 * i, WORKER_TRACK, 'openat', args({
			file: `/tmp/sickbay-AbCdEf/sickbay-file-${i}`, fd: 20 + i,
			stack: ['mkstemp', 'create_files', 'hello_world_handler', 'worker_main'],
		}));
		end(ms + 5 + 3 * i, WORKER_TRACK);
		counter(ms + 5 + 3 * i, HEAP_TRACK, 1_000_000 * (i + 1));
	}
	end(ms + 20, WORKER_TRACK);
	begin(ms + 21, WORKER_TRACK, 'eat_cpu', {});
	event(ms + 30, {9: INSTANT, 11: WORKER_TRACK, 22: 'app', 23: 'half of it'});
	end(ms + 90, WORKER_TRACK);
	end(ms + 91, WORKER_TRACK);
	end(ms + 92, LOOP_TRACK);
}

function sample(ms, callstack) {
	packet({8: at(ms), 66: {1: 0, 2: PID, 3: WORKER, 4: callstack, 5: 2, 6: ms}});
}

export function fixture() {
	packets.length = 0;
	describe();
	counter(0, HEAP_TRACK, 500_000);
	serve(10);
	sample(15, 1);
	for (let ms = 35; ms < 100; ms += 10)
		sample(ms, 2);
	return Buffer.concat(packets);
}

if (process.argv[1] === import.meta.filename || process.argv[1]?.endsWith('/fixture.mjs')) {
	if (!process.argv[2]) {
		console.error('usage: node fixture.mjs FILE');
		process.exit(2);
	}
	fs.writeFileSync(process.argv[2], fixture());
}
