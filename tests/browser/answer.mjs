// Answering a lab on its page, and the marks of what is done. The page of the lab is ours, so that no text of
// the workshop matters; what it asks, the desk answers.
import assert from 'node:assert/strict';

import {audit, test} from './harness.mjs';

const LAB = '03-it-grows';
const HEAD = ['bar', 'desk', 'labs'].map(name => `<link rel="stylesheet" href="/assets/${name}.css">`).join('');
const show = body => `<!DOCTYPE html><html lang="en"><title>A lab</title>${HEAD}
	<main class="text"><h1>A lab</h1>${body}</main><script type="module" src="/assets/answer.js"></script></html>`;
const PAGES = {
	[`/labs/${LAB}/`]: show(`<section id="answer" data-lab="${LAB}" hidden></section>`),
	'/labs/': show(`<ul class="contents"><li><a href="${LAB}/">It grows</a></li><li><a href="x/">Other</a></li></ul>`),
};

async function open(page, path) {
	for (const [pathname, body] of Object.entries(PAGES))
		await page.route(url => url.pathname === pathname, route => route.fulfill({contentType: 'text/html', body}));
	await page.goto(path);
}

// As 'make' does.
const tell = (page, path, fields = {}) => page.evaluate(async ([path, fields]) => {
	const response = await fetch(path, {method: 'POST', body: new URLSearchParams(fields)});

	return response.status;
}, [path, fields]);

async function answer(page, functionName, resource) {
	await page.getByLabel('Function').fill(functionName);
	await page.getByLabel('Resource').fill(resource);
	await page.getByLabel('Resource').press('Enter');
}

test('an answer is checked by keyboard, and a wrong one gives nothing away', async page => {
	await open(page, `/labs/${LAB}/`);
	await tell(page, '/labs/forget');
	const said = page.getByRole('status');

	await answer(page, 'main', 'cpu');
	await said.getByText('That is not it, or not all of it').waitFor();
	const wrong = await said.innerText();

	await answer(page, 'leak_memory', 'cpu');
	await page.getByRole('button', {name: 'Check'}).and(page.locator(':enabled')).waitFor();
	assert.equal(await said.innerText(), wrong);
	assert.equal(await page.locator('.marks .chip').count(), 0);
	await audit(page);
});

test('an answer that is right is told with how it can be seen, and marked', async page => {
	await open(page, `/labs/${LAB}/`);
	await tell(page, '/labs/forget');
	await answer(page, 'leak_memory()', 'Memory');
	await page.getByRole('status').getByText('Right.').waitFor();
	assert.ok(await page.getByRole('status').locator('code').count() > 0, 'how it is seen');
	await page.getByRole('heading').getByText('✓ answered').waitFor();
	await audit(page);

	assert.equal(await tell(page, '/labs/verified', {step: 3}), 200);
	await open(page, '/labs/');
	const link = page.getByRole('link', {name: /^It grows/});
	await link.getByText('✓ mended').waitFor();
	assert.match(await link.innerText(), /✓ answered\s*✓ mended$/);
	assert.equal(await page.getByRole('link', {name: 'Other', exact: true}).count(), 1);
	await audit(page);
});

test('an answer says so when the desk does not answer', async page => {
	await open(page, `/labs/${LAB}/`);
	await page.route('**/labs/answer', route => route.abort());
	await answer(page, 'x', 'y');
	await page.getByRole('status').getByText('The desk does not answer; try again').waitFor();
	await page.unroute('**/labs/answer');
	await answer(page, 'x', 'y');
	await page.getByRole('status').getByText('That is not it').waitFor();
}, {expected: /ERR_FAILED/});
