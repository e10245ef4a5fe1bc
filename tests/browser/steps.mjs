// Each step, from "the page is slow" to the guilty line, by the page alone. Steps 1 and 5 are told by the
// page of threads (pages.mjs).
import assert from 'node:assert/strict';

import {test} from './harness.mjs';

const RUN = Date.now().toString(36);

async function send(page, step, variant = 'leaky') {
	await page.goto('/');
	await page.getByRole('button', {name: 'Reset'}).click();
	await page.locator('.steps li.now', {hasText: '0 none'}).waitFor();
	await page.getByRole('button', {name: new RegExp(`^Step ${step}, .*, ${variant}$`)}).click();
	await page.locator('.steps li.now', {hasText: new RegExp(`^${step} `)}).waitFor();
}

const request = (page, name = 'Request') => page.getByRole('button', {name, exact: true}).click();

// Until COUNT more answers came.
async function requestAndWait(page, count) {
	const answers = page.getByRole('list', {name: 'Latest answers'}).getByRole('listitem');
	const before = await answers.count();

	for (let i = 1; i <= count; i++) {
		await request(page);
		await answers.nth(before + i - 1).waitFor();
	}
}

// Others of the same name may be there from before.
const named = name => `${name}-${RUN}`;

// Takes KIND for SECONDS, and returns its row once it is there.
async function take(page, kind, seconds, name) {
	const row = page.locator('#captures tr', {hasText: named(name)});

	await page.locator('#captures select[name=kind]').selectOption(kind);
	await page.getByRole('spinbutton', {name: 'Seconds'}).fill(String(seconds));
	await page.getByRole('textbox', {name: 'Name (if you like)'}).fill(named(name));
	await page.getByRole('button', {name: 'Take', exact: true}).click();
	await row.waitFor();
	return row;
}

test('step 2: a CPU profile, its flame graph and its source show eat_cpu', async page => {
	await send(page, 2);
	await request(page);
	const row = await take(page, 'cpu', 2, 'burning');

	await row.getByRole('link', {name: 'Flame graph'}).click();
	await page.getByText('eat_cpu', {exact: true}).first().waitFor();
	await page.goBack();
	await row.getByRole('link', {name: 'Source'}).click();
	await page.getByText('services/app/faults/cpu.c').first().waitFor();
	assert.match(await page.content(), /result \* 1\.0000001/);
});

test('step 3: two heap profiles compared show leak_memory', async page => {
	await send(page, 3);
	await requestAndWait(page, 1);
	await take(page, 'heap', 0, 'first');
	await requestAndWait(page, 3);
	const row = await take(page, 'heap', 0, 'second');

	await row.getByRole('button', {name: /^Compare with/}).click();
	await page.getByRole('dialog').getByRole('combobox').selectOption(
		await page.getByRole('dialog').locator('option', {hasText: named('first')}).innerText());
	await page.getByRole('dialog').getByRole('button', {name: 'Compare'}).click();
	await page.getByText('leak_memory', {exact: true}).first().waitFor();
	assert.match(new URL(page.url()).pathname, /^\/pprof\/second-.*\.\.first-/);
});

test('step 6: the descriptors’ profile and the timeline show where files are opened', async page => {
	await send(page, 6);
	await requestAndWait(page, 2);
	const profile = await take(page, 'fd', 0, 'open');

	await profile.getByRole('link', {name: 'Top'}).click();
	await page.getByText('create_files').first().waitFor();

	await page.goto('/');
	const taken = take(page, 'trace', 3, 'opening');

	await page.locator('#captures progress').waitFor();
	await request(page, '× 10 requests');
	await (await taken).getByRole('link', {name: 'Timeline'}).click();
	await page.waitForSelector('.omnibox input:not([readonly])');
	await page.locator('.omnibox input').click();
	await page.keyboard.type(":select count(1) > 0 as opens from slice where name = 'openat'");
	await page.keyboard.press('Enter');
	await page.locator('.query-table tbody td', {hasText: /^1$/}).waitFor();
});

test('a fixed step keeps nothing', async page => {
	await send(page, 6, 'fixed');
	await requestAndWait(page, 2);
	const row = await take(page, 'fd', 0, 'closed');

	await row.getByRole('link', {name: 'Top'}).click();
	await page.locator('#toptable').waitFor();
	assert.doesNotMatch(await page.content(), /create_files/);
});

test('a patient that is killed is down within 2 s, and back by itself', async page => {
	await page.goto('/');
	const facts = page.locator('#patient').getByText(/^PID \d+/);
	const pid = Number((await facts.innerText()).match(/\d+/)[0]);

	process.kill(pid, 'SIGKILL');
	await page.locator('#patient .chip', {hasText: 'down'}).waitFor({timeout: 2000});
	await page.locator('#patient').getByText(new RegExp(`^PID (?!${pid}\\b)\\d+`)).waitFor();
	await page.locator('#patient .chip', {hasText: 'well'}).waitFor();
	await requestAndWait(page, 1);
});
