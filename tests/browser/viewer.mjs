// The viewer with a trace: what it shows must be what SQL says of the same file. So any trace can be
// looked at that has threads with slices, and samples.
import assert from 'node:assert/strict';
import path from 'node:path';

import {openTrace} from '../trace/trace.mjs';
import {test} from './harness.mjs';

export const TRACE = path.resolve(process.env.TRACE);

const sql = await openTrace(TRACE, {old: true});
const one = query => sql.query(query)[0];

// The longest slice of a thread that has slices within it.
const [sliceTrack, sliceName, sliceTs, sliceDur, sliceDepth] = one(`
	select track_id, slice.name, ts, dur, depth from slice join thread_track on track_id = thread_track.id
	where dur > 0 and slice.id in (select parent_id from slice) order by dur desc limit 1`);

// Perfetto's own layout of a track of slices, in pixels.
const SLICE_PX = 18, PADDING_PX = 4;

async function openViewer(page) {
	await page.goto(`/viewer/?url=/captures/${path.basename(TRACE)}`);
	await page.waitForSelector('.track-shell h1');
	await page.waitForSelector('.omnibox input:not([readonly])'); // no message of loading any more
}

const titles = page => page.$$eval('.track-shell h1', all => all.map(title => title.textContent));

// Where TS_NS is on the track TRACK of the trace: {x, y}, of its upper edge.
async function placeOf(page, selector, tsNs) {
	const track = page.locator(selector);

	await track.scrollIntoViewIfNeeded();
	const box = await track.boundingBox();
	const px = await page.evaluate(seconds => globals.frontendLocalState.timeScale.timeToPx(seconds),
		Number(tsNs) / 1e9);
	const shell = await track.locator('.track-shell').boundingBox();

	return {x: box.x + shell.width + px, y: box.y, height: box.height};
}

// The viewer's own id of a track of the trace.
const trackOf = (page, track) => page.evaluate(id => Object.values(globals.state.tracks)
	.find(({config}) => config.trackId === id || config.trackIds?.includes(id)).id, Number(track));

// Again and again until SELECTOR is there: tracks are drawn on a canvas, and a click before takes nothing.
async function clickFor(page, x, y, selector) {
	const deadline = Date.now() + 20000;

	do {
		await page.mouse.click(x, y);
		if (await page.waitForSelector(selector, {timeout: 1000}).catch(() => null))
			return;
	} while (Date.now() < deadline);
	assert.fail(`a click shows no ${selector}`);
}

const details = page => page.locator('.details-panel').innerText();

test('trace is read without errors, by the viewer and by a newer engine', async () => {
	const newer = await openTrace(TRACE);

	assert.deepEqual([...sql.complaints(), ...newer.complaints()], []);
	assert.deepEqual(newer.query(`select distinct name from slice where name = '${sliceName}'`), [[sliceName]]);
});

test('viewer names the tracks of all threads with slices', async page => {
	await openViewer(page);
	const shown = await titles(page);

	for (const [name] of sql.query(`select distinct thread.name from slice
		join thread_track on track_id = thread_track.id join thread using (utid)`))
		assert.ok(shown.some(title => title.startsWith(name)), `no track of ${name} among ${shown}`);
	assert.equal(await page.locator('.bar .name').innerText(), path.basename(TRACE));
});

test('viewer folds and unfolds a process', async page => {
	await openViewer(page);
	const before = (await titles(page)).length;

	await page.locator('.track-group-panel .shell').first().click();
	await page.waitForFunction(count => document.querySelectorAll('.track-shell').length < count, before);
	await page.locator('.track-group-panel .shell').first().click();
	await page.waitForFunction(count => document.querySelectorAll('.track-shell').length === count, before);
});

test('viewer pins a track to the top', async page => {
	await openViewer(page);
	const [name] = await titles(page);

	await page.locator('.scrolling-panel-container .track-shell').first().hover();
	await page.locator('.scrolling-panel-container .track-button[title^=Pin]').first().click();
	await page.waitForSelector('.pinned-panel-container .track-shell');
	assert.equal(await page.locator('.pinned-panel-container .track-shell h1').innerText(), name);
});

test('viewer zooms with W and S', async page => {
	const width = () => page.evaluate(() => globals.frontendLocalState.visibleWindowTime.duration);

	await openViewer(page);
	const whole = await width();

	await page.mouse.move(800, 300);
	await page.keyboard.down('w');
	await page.waitForFunction(limit =>
		globals.frontendLocalState.visibleWindowTime.duration < limit, whole * 0.8);
	await page.keyboard.up('w');
	const closer = await width();

	await page.keyboard.down('s');
	await page.waitForFunction(limit =>
		globals.frontendLocalState.visibleWindowTime.duration > limit, closer * 1.1);
	await page.keyboard.up('s');
});

test('viewer shows the details of a slice that is clicked', async page => {
	await openViewer(page);
	const {x, y} = await placeOf(page, `#track_${await trackOf(page, sliceTrack)}`, sliceTs + sliceDur / 2n);

	await clickFor(page, x, y + PADDING_PX + SLICE_PX * (Number(sliceDepth) + 0.5), '.details-panel');
	await page.locator('.details-panel').getByText(sliceName, {exact: true}).first().waitFor();
	assert.match(await details(page), /Slice Details/);
});

test('viewer shows the arguments of a slice, lists too', async page => {
	// The last of a list, where there is one.
	const [id, track, key, value] = one(`select slice.id, track_id, args.key, string_value
		from slice join args using (arg_set_id) where args.key like 'debug.%' and string_value is not null
		order by args.key like '%]' desc, args.key desc limit 1`);

	await openViewer(page);
	await page.evaluate(([slice, trackId]) => globals.makeSelection(Actions.selectChromeSlice({
		id: slice, trackId, table: 'slice',
	})), [Number(id), await trackOf(page, track)]);
	await page.locator('.details-panel').getByText(value, {exact: true}).first().waitFor();
	const text = await details(page);

	for (const word of key.split(/[[\]]/).filter(Boolean))
		assert.ok(text.includes(word), `${word} of ${key} is not in: ${text}`);
});

test('viewer lists the slices of an area: count, total and self time', async page => {
	await openViewer(page);
	const track = await trackOf(page, sliceTrack), selector = `#track_${track}`;
	const {y, height} = await placeOf(page, selector, sliceTs);
	const shell = await page.locator(selector).locator('.track-shell').boundingBox();

	await page.mouse.move(shell.x + shell.width + 5, y + 2);
	await page.mouse.down();
	await page.mouse.move(600, y + height / 2, {steps: 5});
	await page.mouse.move(1279, y + height - 2, {steps: 5});
	await page.mouse.up();
	await page.waitForFunction(() => globals.state.currentSelection?.kind === 'AREA');
	const {tracks, startSec, endSec} = await page.evaluate(() =>
		globals.state.areas[globals.state.currentSelection.areaId]);

	assert.deepEqual(tracks, [track]);
	await page.locator('.tab', {hasText: 'Slices'}).click();
	const row = page.locator('.details-panel tr', {hasText: sliceName}).first();
	const cells = (await row.innerText()).split(/\s+/);
	const [count, total, self] = one(`select count(1), sum(dur) / 1e6, sum(dur - ifnull(within, 0)) / 1e6
		from slice left join (select parent_id as id, sum(dur) as within from slice group by parent_id)
		using (id) where track_id = ${sliceTrack} and name = '${sliceName}'
		and ts + dur > ${startSec * 1e9} and ts < ${endSec * 1e9}`);
	const [shownTotal, shownSelf, , shownCount] = cells.slice(-4).map(Number);

	assert.equal(shownCount, Number(count));
	assert.ok(Math.abs(shownTotal - total) < 0.01, `total ${shownTotal}, not ${total}`);
	assert.ok(Math.abs(shownSelf - self) < 0.01, `self ${shownSelf}, not ${self}`);
});

test('viewer opens the flame graph of samples', async page => {
	const [ts, name] = one(`select max(ts), stack_profile_frame.name from perf_sample
		join stack_profile_callsite on callsite_id = stack_profile_callsite.id
		join stack_profile_frame on frame_id = stack_profile_frame.id`);

	await openViewer(page);
	const track = page.locator('.track', {has: page.getByText('Perf Samples')});
	const place = await placeOf(page, `#${await track.first().getAttribute('id')}`, ts);

	await clickFor(page, place.x, place.y + place.height / 2, '.flamegraph-profile');
	await page.waitForFunction(wanted =>
		globals.flamegraphDetails.flamegraph?.some(frame => frame.name === wanted), name);
});

test('viewer has the flame graph of a selected time span', async page => {
	const [first, last] = one('select min(ts), max(ts) from perf_sample').map(Number);
	const from = first + (last - first) / 4, to = first + (last - first) * 3 / 4;

	await openViewer(page);
	const track = page.locator('.track', {has: page.getByText('Perf Samples')});
	const id = `#${await track.first().getAttribute('id')}`;
	const begin = await placeOf(page, id, from), end = await placeOf(page, id, to);

	await page.mouse.move(begin.x, begin.y + begin.height / 2 + 2);
	await page.mouse.down();
	await page.mouse.move(end.x, end.y + end.height / 2 + 4, {steps: 4});
	await page.mouse.up();
	await page.locator('.tab', {hasText: 'Flame Graph'}).click();
	await page.waitForSelector('.flamegraph-profile');

	const {fromTs, ts} = await page.evaluate(() => globals.state.currentFlamegraphState);
	const [count, all] = one(`select sum(ts between ${fromTs} and ${ts}), count(1) from perf_sample`);

	assert.ok(Number(count) > 0 && Number(count) < Number(all));
	await page.waitForFunction(wanted => globals.flamegraphDetails.flamegraph
		?.filter(frame => frame.depth === 0).reduce((sum, frame) => sum + frame.totalSize, 0) === wanted,
	Number(count));
});

test('viewer answers SQL in the search box', async page => {
	const [count] = one('select count(1) from slice');

	await openViewer(page);
	await page.locator('.omnibox input').click();
	await page.keyboard.type(':select count(1) as number_of_slices from slice');
	await page.keyboard.press('Enter');
	await page.getByText('number_of_slices', {exact: true}).waitFor();
	assert.equal(await page.locator('.query-table tbody td').first().innerText(), String(count));
});

test('viewer opens a file', async page => {
	await page.goto('/viewer/');
	await page.getByText('Open a trace').waitFor();
	await page.setInputFiles('#file', TRACE);
	await page.waitForSelector('.track-shell h1');
	assert.equal(await page.locator('.bar .name').innerText(), path.basename(TRACE));
});
