// Each page as it is looked at: light and dark, on a projector and on a phone. And what the threads and the
// sources do.
import assert from 'node:assert/strict';

import {audit, test} from './harness.mjs';
import {lookUntil} from './panels.mjs';
import {ask, goTo, hang} from './patient.mjs';

const PAINT_MAX_BYTES = 300 * 1000;

const SCREENS = {
	projector: {viewport: {width: 1280, height: 720}, colorScheme: 'light'},
	'dark projector': {viewport: {width: 1280, height: 720}, colorScheme: 'dark'},
	phone: {viewport: {width: 390, height: 844}, colorScheme: 'light'},
	'dark phone': {viewport: {width: 390, height: 844}, colorScheme: 'dark'},
};

const PAGES = {
	desk: page => page.goto('/'),
	threads: async page => {
		await openHanging(page, 2);
		await page.locator('.group', {hasText: 'update_shared_state'}).locator('summary').click();
		await page.locator('.group[open] li', {hasText: 'update_shared_state'}).getByRole('link').click();
		await page.locator('.listing .hit').waitFor();
	},
	source: async page => {
		await page.goto('/source.html?file=services/app/faults/mutex.c&line=20#hit');
		await page.locator('.listing .hit').waitFor();
	},
	labs: page => page.goto('/labs/'),
	guide: page => page.goto('/labs/core-files.html'),
};

// The threads of a patient with COUNT requests that wait for step 1's mutex.
async function openHanging(page, count) {
	await goTo(1);
	await hang(count);
	await page.goto('/threads.html');
}

for (const [name, open] of Object.entries(PAGES))
	for (const [screenName, screen] of Object.entries(SCREENS))
		test(`${name} on a ${screenName} can be used by everybody`, async page => {
			await open(page);
			await audit(page);
			assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
				'the page scrolls sideways');
		}, {screen});

test('desk is painted from little', async page => {
	const requests = [];

	page.on('requestfinished', request => requests.push(request));
	await page.goto('/');
	await page.locator('.charts canvas').nth(4).waitFor(); // the last of what its modules load
	await page.locator('#captures form').waitFor();
	const sizes = await Promise.all(requests.map(request => request.sizes()));
	const bytes = sizes.reduce((sum, {responseHeadersSize, responseBodySize}) =>
		sum + responseHeadersSize + responseBodySize, 0);

	assert.ok(bytes > 0 && bytes < PAINT_MAX_BYTES, `${bytes} bytes`);
});

test('desk says when it does not answer, and goes on by itself', async page => {
	const banner = page.getByText('The desk does not answer. What is shown here may be old');

	await page.route('**/events', route => route.abort());
	await page.goto('/');
	await banner.waitFor();
	await page.unroute('**/events');
	await banner.waitFor({state: 'detached'});
	await page.getByText(/^PID \d+/).waitFor();
}, {expected: /ERR_FAILED/});

test('desk that is silent is noticed, and asked again', async page => {
	const banner = page.getByText('The desk does not answer. What is shown here may be old');

	await page.goto('/');
	await page.getByText(/^PID \d+/).waitFor();
	await page.route('**/events', () => {}); // no answer, and no end
	await page.evaluate(async () => (await import('/assets/hub.js')).hub.open());
	await banner.waitFor();
	await page.unroute('**/events');
	await banner.waitFor({state: 'detached'});
});

test('desk shows its refusals as sentences, until they are closed', async page => {
	await page.goto('/');
	await page.evaluate(async () => (await import('/assets/hub.js')).post('/patient/goto', {step: 99}));
	await page.getByRole('alert').getByText(/step/).waitFor();
	await page.getByRole('alert').getByRole('button', {name: 'Close'}).click();
	assert.equal(await page.getByRole('alert').innerText(), '');
}, {expected: /400 \(Bad Request\)/});

test('desk shows the same to two people', async page => {
	const other = await page.context().newPage();

	await page.goto('/');
	await other.goto('/');
	for (const [step, variant] of [[4, 'fixed'], [0, 'go']]) {
		await page.getByRole('button', {name: new RegExp(`^Step ${step}, .*, ${variant}$`)}).click();
		await other.locator('.steps li.now button[aria-pressed=true]', {hasText: variant}).waitFor();
		assert.match(await other.locator('.steps li.now').innerText(), new RegExp(`^${step} `));
	}
});

test('threads whose stacks could not be walked leave the others as they are', async page => {
	const dump = await (await fetch(`${process.env.PATIENT}/debug/pprof/threads?debug=2`)).text();

	await page.route('**/patient/threads', route => route.fulfill({contentType: 'text/plain', body: `${dump.trimEnd()}

thread 99998 "unwalked" [futex wait, 3 seconds]:
waits for mutex lost_lock (0x1234), held by thread 99999 "gone"
(no stack: it could not be walked)
`}));
	await page.goto('/threads.html');
	await page.getByRole('region', {name: /^mutex lost_lock/}).getByRole('link', {name: '1 thread waits'}).click();
	await page.locator('.group[open]', {hasText: 'it could not be walked'}).waitFor();
	await page.locator('#summary', {hasText: 'groups of equal stacks'}).waitFor();
});

test('threads can be filtered, and looked at again', async page => {
	await goTo(5);
	await ask(1);
	await page.goto('/threads.html');
	await page.getByRole('searchbox', {name: 'Filter'}).fill('wait_for_signal leaked-3');
	await page.getByText(/; 1 of them shown$/).waitFor();
	assert.equal(await page.locator('.group:visible').count(), 1);
	await ask(1);
	await lookUntil(page, page.locator('.count:visible', {hasText: '10 ×'}));
	assert.equal(await page.locator('.group:visible').count(), 1);
});

test('threads of a patient that is away are a sentence', async page => {
	await page.goto('/threads.html');
	await page.getByText(/^The patient does not show its threads: .*refused/).waitFor();
}, {desk: 'without', expected: /502 \(Bad Gateway\)/});

test('a source is shown with its line, and a missing one with a sentence', async page => {
	await page.goto('/source.html?file=services/app/faults/cpu.c&line=1');
	assert.match(await page.locator('.listing .hit').innerText(), /Step 2/);
	await page.goto('/source.html?file=services/app/none.c');
	await page.getByText('services/app/none.c cannot be read among the sources here').waitFor();
}, {expected: /404 \(Not Found\)/});
