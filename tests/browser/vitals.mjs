// The panels of the patient and of its vitals: two people look, and both are shown the same.
import assert from 'node:assert/strict';

import {ask, goTo} from './patient.mjs';
import {test} from './harness.mjs';

const LINES = {light: [10, 112, 91], dark: [61, 219, 176]}; // the first line's colour

async function open(page) {
	await page.goto('/');
	await page.locator('.steps li.now').waitFor();
	await page.locator('.charts canvas').first().waitFor();
}

// How many points of each chart have the colour of its first line.
const drawn = (page, color) => page.$$eval('.charts canvas', (all, [red, green, blue]) => all.map(canvas => {
	const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
	let count = 0;

	for (let i = 0; i < data.length; i += 4)
		count += data[i + 3] === 255 && data[i] === red && data[i + 1] === green && data[i + 2] === blue;
	return count;
}), color);

async function awaitDrawn(page, color) {
	const deadline = Date.now() + 10000;
	let counts;

	do
		counts = await drawn(page, color);
	while (!counts.every(count => count > 0) && Date.now() < deadline);
	assert.ok(counts.length === 5 && counts.every(count => count > 0), `of that colour: ${counts}`);
}

test('what one person presses another sees: step, answers, steady requests', async page => {
	const other = await page.context().newPage();

	await goTo(0);
	await open(page);
	await open(other);
	await page.getByRole('button', {name: 'Step 6, fd leak, fixed'}).click();
	await other.locator('.steps li.now', {hasText: 'fd leak'}).waitFor();
	await other.locator('.marks', {hasText: 'step 6 fixed'}).waitFor();
	await page.getByRole('button', {name: 'Request', exact: true}).click();
	await other.locator('.answers li').waitFor();

	await page.locator('#patient-rate').focus();
	for (const key of ['Home', 'ArrowRight', 'ArrowRight', 'ArrowRight'])
		await page.keyboard.press(key);
	await other.locator('#patient output', {hasText: '3/s'}).waitFor();
	assert.equal(await page.locator('#patient output').innerText(), '3/s');
	await other.getByRole('button', {name: 'Reset'}).click();
	await page.locator('#patient output', {hasText: '0/s'}).waitFor();
	await page.locator('.steps li.now', {hasText: 'none'}).waitFor();
});

test('charts draw each number, in light and in dark, and tell it where the cursor is', async page => {
	await goTo(0);
	await open(page);
	await page.getByRole('button', {name: '× 10 requests'}).click();
	await page.locator('.answers li').nth(7).waitFor();
	await awaitDrawn(page, LINES.light);
	await page.emulateMedia({colorScheme: 'dark'});
	await awaitDrawn(page, LINES.dark);

	const memory = page.getByRole('img', {name: 'Memory, the last ten minutes'});
	const box = await memory.boundingBox();

	await page.mouse.move(box.x + box.width - 30, box.y + 60);
	await page.locator('#vitals .when', {hasText: /^At \d\d:\d\d:\d\d$/}).waitFor();
	assert.match(await page.locator('#vitals figcaption', {hasText: 'Memory'}).innerText(),
		/[\d.]+ MiB\s+RSS\s+[\d.]+ MiB\s+heap in use\s+[\d.]+ MiB\s+allocated/);
});

test('vitals follow the patient', async page => {
	const threads = page.locator('#vitals figcaption', {hasText: 'Threads'}).locator('b');
	const leaked = 50;

	await goTo(5);
	await open(page);
	const before = Number(await threads.innerText());

	await ask(leaked / 5);
	await page.waitForFunction(least => [...document.querySelectorAll('#vitals figcaption')]
		.some(({textContent}) => Number(textContent.match(/^Threads(\d+)/)?.[1]) >= least), before + leaked);
	await goTo(0);
});

test('a page that comes later has what was before it', async page => {
	await goTo(3);
	await open(page);
	await page.locator('.marks', {hasText: 'step 3'}).waitFor();
	await page.reload();
	await page.locator('.marks', {hasText: 'step 3'}).waitFor();
	await goTo(0);
});

test('without the library of charts their numbers stay', async page => {
	await page.route('**/uplot.js', route => route.fulfill({status: 404, body: ''}));
	await page.goto('/');
	await page.getByText(/^The charts are missing:/).waitFor();
	await page.locator('#vitals figcaption', {hasText: /Threads\s*\d+/}).waitFor();
}, {expected: /404/});
