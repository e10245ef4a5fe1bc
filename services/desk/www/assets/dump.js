// The patient's dump of its threads as objects: what services/diag/threads.h prints.
//
//     thread 314 "leaked-3" [futex wait, 2 minutes]:
//     waits for mutex NAME (0x...), held by thread 17 "holder", which locked it in F at FILE:LINE
//     wait_for_signal
//     	/src/.../thread_leak.c:29 +0x74
//     created by start_threads
//     	/src/.../thread_leak.c:70 +0x51
const NAME = '"((?:[^"\\\\]|\\\\.)*)"';
const HEAD = new RegExp(`^thread (\\d+) ${NAME} \\[([^,\\]]*)(?:, (\\d+) (ms|seconds?|minutes?))?\\]:$`);
const WAIT = new RegExp(`^waits for (\\w+) (.+?)(?:, held by thread (\\d+)(?: ${NAME})?` +
	'(?:, which locked it in (.+) at (.+):(\\d+))?)?$');
const PLACE = /^\t(.+):(\d+) \+0x[0-9a-f]+$/;
const MS = {ms: 1, second: 1000, seconds: 1000, minute: 60000, minutes: 60000};

const unescape = name => JSON.parse(`"${name}"`);

function parseWait(line) {
	const [, kind, object, holder, holderName, func, file, number] = line.match(WAIT);

	return {
		kind, object,
		holder: holder && {tid: Number(holder), name: unescape(holderName ?? '')},
		locked: func && {function: func, file, line: Number(number)},
	};
}

function parseHead(line) {
	const match = line.match(HEAD);

	if (!match)
		throw new Error(`The patient’s dump cannot be read; it has the line: ${line.slice(0, 100)}`);
	const [, tid, name, state, amount, unit] = match;

	return {
		tid: Number(tid), name: unescape(name), state,
		waited: amount && `${amount} ${unit}`,
		waitedMs: amount ? amount * MS[unit] : 0,
		wait: null, note: '', frames: [], creators: [],
	};
}

function parseThread(block) {
	const [head, ...lines] = block.split('\n');
	const thread = parseHead(head);
	let frames = thread.frames;

	for (let i = 0; i < lines.length; i++) {
		const place = lines[i + 1]?.match(PLACE);

		if (place) {
			if (lines[i].startsWith('created by '))
				frames = thread.creators;
			frames.push({
				function: lines[i].replace(/^created by /, ''), file: place[1], line: Number(place[2]),
			});
			i++;
		} else if (lines[i].startsWith('waits for ')) {
			thread.wait = parseWait(lines[i]);
		} else {
			thread.note = lines[i];
		}
	}
	return thread;
}

// All threads of the text. Throws an Error, whose message is a sentence, where that is no dump.
export function parseDump(text) {
	return text.split('\n\n').map(block => block.trimEnd()).filter(Boolean).map(parseThread);
}

const spell = frames => frames.map(frame => `${frame.function} ${frame.file}:${frame.line}`).join('\n');

// Threads of equal stacks, and of the same creator, in the same state.
export function groupThreads(threads) {
	const groups = new Map();

	for (const thread of threads) {
		const key = [thread.state, thread.note, spell(thread.frames), spell(thread.creators.slice(0, 1))].join('\n\n');

		if (!groups.has(key))
			groups.set(key, {key, threads: []});
		groups.get(key).threads.push(thread);
	}
	return [...groups.values()];
}

// The mutexes that somebody waits for: {object, holder, locked, waiters}. The holder is the thread itself
// where the dump has it.
export function findLocks(threads) {
	const locks = new Map();

	for (const thread of threads) {
		if (!thread.wait?.holder)
			continue;
		const {object, holder, locked} = thread.wait;

		if (!locks.has(object))
			locks.set(object, {
				object, locked, waiters: [],
				holder: threads.find(other => other.tid === holder.tid) ?? holder,
			});
		locks.get(object).waiters.push(thread);
	}
	return [...locks.values()];
}

// Where FILE lies below services/, or null: it is not ours.
export function ownPath(file) {
	return file.match(/(?:^|\/)(services\/.+)$/)?.[1] ?? null;
}

// The uppermost frame that is the patient's own: what waits on the way to the C library is not.
export function firstOwn(frames) {
	return frames.find(({file}) => ownPath(file) && !/services\/probe\//.test(file)) ?? frames[0];
}
