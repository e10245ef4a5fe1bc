// Protocol buffers by hand, as little as traces and the trace processor need.
// Source: the encoding of protocol buffers (varints, wire types 0, 1, 2 and 5).

// A number, as a varint; negative ones as 64-bit two's complement.
export function varint(value) {
	const bytes = [];
	let rest = BigInt.asUintN(64, BigInt(value));

	do {
		const low = Number(rest & 0x7fn);

		rest >>= 7n;
		bytes.push(rest ? low | 0x80 : low);
	} while (rest);
	return Buffer.from(bytes);
}

// One field: a number or BigInt (varint), a string, bytes, or an object: a message of
// {number: value}, where a list of values repeats the field.
export function field(number, value) {
	if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
		return Buffer.concat([varint(number << 3), varint(value)]);

	const bytes = Buffer.isBuffer(value) || value instanceof Uint8Array ? value :
		typeof value === 'string' ? Buffer.from(value) : message(value);

	return Buffer.concat([varint(number << 3 | 2), varint(bytes.length), bytes]);
}

export function message(fields) {
	return Buffer.concat(Object.entries(fields).flatMap(([number, value]) =>
		(Array.isArray(value) ? value : [value])
			.filter(one => one !== undefined)
			.map(one => field(Number(number), one))));
}

// Reads varints, one after the other, from BYTES.
class Reader {
	constructor(bytes) {
		this.bytes = bytes;
		this.at = 0;
	}

	get done() {
		return this.at >= this.bytes.length;
	}

	varint() {
		let value = 0n, shift = 0n, byte;

		do {
			byte = this.bytes[this.at++];
			value |= BigInt(byte & 0x7f) << shift;
			shift += 7n;
		} while (byte & 0x80);
		return value;
	}

	take(count) {
		this.at += count;
		return this.bytes.subarray(this.at - count, this.at);
	}
}

// The fields of a message as [number, value]: BigInt of a varint, bytes of anything else.
export function fields(bytes) {
	const reader = new Reader(bytes), found = [];

	while (!reader.done) {
		const tag = Number(reader.varint()), type = tag & 7;
		const value = type === 0 ? reader.varint() : reader.take(
			type === 1 ? 8 : type === 5 ? 4 : Number(reader.varint()));

		found.push([tag >> 3, value]);
	}
	return found;
}

// The packed varints of a repeated int64.
export function packedInts(bytes) {
	const reader = new Reader(bytes), found = [];

	while (!reader.done)
		found.push(BigInt.asIntN(64, reader.varint()));
	return found;
}
