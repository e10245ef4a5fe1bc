// Each step, from "the page is slow" to the guilty line, by the page alone.
import assert from 'node:assert/strict';

import {picture, test} from './harness.mjs';
import {goTo, lookUntil, openDesk, request, requestAndWait, take} from './panels.mjs';

test('step 1: the page of threads names who waits for the mutex and who holds it, and shows the lines', async page => {
	await goTo(page, 1);
	for (let i = 0; i < 3; i++)
		await request(page);
	await page.locator('#patient .load', {hasText: /^3 under way/}).waitFor();
	await page.getByRole('link', {name: 'Threads'}).click();
	const lock = page.getByRole('region', {name: /^mutex shared_state_lock/});
	const waiting = lock.getByRole('link', {name: '3 threads wait'});

	await lookUntil(page, waiting);
	await lock.getByText(/locked it in forget_to_unlock at app\/faults\/mutex\.c:\d+/).waitFor();
	await waiting.click();
	await page.locator('.group[open] li', {hasText: 'update_shared_state'}).getByRole('link').click();
	await page.locator('.listing .hit', {hasText: 'pthread_mutex_lock(&shared_state_lock)'}).waitFor();
	await page.evaluate(() => scrollTo(0, 0));
	await picture(page, 'threads-mutex');
	await page.locator('.group[open] summary').click();

	await lock.getByRole('link', {name: /^held by thread \d+ “holder”$/}).click();
	const frame = page.locator('.group[open] li', {hasText: 'forget_to_unlock'});

	await frame.getByRole('link').click();
	await frame.locator('.listing .hit', {hasText: 'wait_for(&may_unlock)'}).waitFor();
	await frame.getByRole('link').click();
	await frame.locator('.listing').waitFor({state: 'detached'});
	await Promise.all([page.waitForResponse(/\/source\?/), frame.getByRole('link').dblclick()]); // opens it, and closes it
	assert.equal(await frame.getByRole('link').getAttribute('aria-expanded'), 'false');
	assert.equal(await frame.locator('.listing').count(), 0);
});

test('step 2: a CPU profile, its flame graph and its source show eat_cpu', async page => {
	await goTo(page, 2);
	await request(page);
	const row = await take(page, 'cpu', 2, 'burning');

	await row.getByRole('link', {name: 'Flame graph'}).click();
	await page.getByText('eat_cpu', {exact: true}).first().waitFor();
	await picture(page, 'flame-graph-cpu', 320);
	await page.goBack();
	await row.getByRole('link', {name: 'Source'}).click();
	await page.getByText('services/app/faults/cpu.c').first().waitFor();
	assert.match(await page.content(), /result \* 1\.0000001/);
	await picture(page, 'source-eat_cpu', 570);
});

test('step 3: two heap profiles compared show leak_memory', async page => {
	await goTo(page, 3);
	await requestAndWait(page, 1);
	await take(page, 'heap', 0, 'before');
	await requestAndWait(page, 3);
	const row = await take(page, 'heap', 0, 'after');

	await page.locator('#captures').scrollIntoViewIfNeeded();
	await picture(page, 'captures');
	await row.getByRole('button', {name: /^Compare with/}).click();
	await page.getByRole('dialog').getByRole('combobox').selectOption(
		await page.getByRole('dialog').locator('option', {hasText: 'before-'}).innerText());
	await page.getByRole('dialog').getByRole('button', {name: 'Compare'}).click();
	await page.getByText('leak_memory', {exact: true}).first().waitFor();
	assert.match(new URL(page.url()).pathname, /^\/pprof\/after-.*\.\.before-/);
	await picture(page, 'compare-heap', 320);
});

test('step 5: the page of threads counts those that stay, and says who created them', async page => {
	await goTo(page, 5);
	await requestAndWait(page, 2);
	await page.getByRole('link', {name: 'Threads'}).click();
	const group = page.locator('.group', {hasText: 'wait_for_signal'});

	await lookUntil(page, group.locator('.count', {hasText: '10 ×'}));
	await group.locator('summary').click();
	await group.getByText('created by', {exact: true}).waitFor();
	await group.locator('li', {hasText: 'start_threads'}).getByRole('link').click();
	await group.locator('.listing .hit', {hasText: 'pthread_create'}).waitFor();
});

test('step 6: the descriptors’ profile and the timeline show where files are opened', async page => {
	await goTo(page, 6);
	await requestAndWait(page, 2);
	const profile = await take(page, 'fd', 0, 'open');

	await profile.getByRole('link', {name: 'Top'}).click();
	await page.getByText('create_files').first().waitFor();
	await page.goBack();
	await profile.getByRole('link', {name: 'Graph', exact: true}).click();
	await page.locator('#graph .node', {hasText: 'create_files'}).waitFor();
	// What its menu "Refine" makes of it.
	await page.goto(`${page.url()}?f=create_files&sf=hello_world_handler`);
	await page.locator('#graph .node', {hasText: 'create_files'}).waitFor();
	await page.mouse.move(640, 60);
	for (let i = 0; i < 14; i++)
		await page.mouse.wheel(0, 120); // smaller
	await picture(page, 'fd-graph', 660);

	await openDesk(page);
	const taken = take(page, 'trace', 3, 'opening');

	await page.locator('#captures progress').waitFor();
	await request(page, '× 10 requests');
	await (await taken).getByRole('link', {name: 'Timeline'}).click();
	await page.waitForSelector('.omnibox input:not([readonly])');
	await page.locator('.omnibox input').click();
	await page.keyboard.type(":select count(1) > 0 as opens from slice where name = 'openat'");
	await page.keyboard.press('Enter');
	await page.locator('.query-table tbody td', {hasText: /^1$/}).waitFor();
	await findSlice(page, 'openat');
	await picture(page, 'timeline-openat');
});

// Brings a slice of the timeline into the middle, and its details below.
async function findSlice(page, name) {
	await page.locator('.omnibox input').press('Escape'); // no SQL any more
	await page.locator('.omnibox input').fill(name);
	await page.getByText(/ \/ [1-9]\d*$/).waitFor();
	await page.keyboard.press('Enter');
	await page.getByText('Current Selection').click();
	await page.locator('.details-panel', {hasText: name}).waitFor();
	await page.keyboard.press('f'); // as large as it fits
}

test('a fixed step keeps nothing', async page => {
	await goTo(page, 6, 'fixed');
	await requestAndWait(page, 2);
	const row = await take(page, 'fd', 0, 'closed');

	await row.getByRole('link', {name: 'Top'}).click();
	await page.locator('#toptable').waitFor();
	assert.doesNotMatch(await page.content(), /create_files/);
});

test('a patient that is killed is down within 2 s, and back by itself', async page => {
	await openDesk(page);
	const facts = page.locator('#patient').getByText(/^PID \d+/);
	const pid = Number((await facts.innerText()).match(/\d+/)[0]);

	process.kill(pid, 'SIGKILL');
	await page.locator('#patient .chip', {hasText: 'down'}).waitFor({timeout: 2000});
	await page.locator('#patient').getByText(new RegExp(`^PID (?!${pid}\\b)\\d+`)).waitFor();
	await page.locator('#patient .chip', {hasText: 'well'}).waitFor();
	await requestAndWait(page, 1);
});
