// What a person does with the desk's panels and its page of threads, by their buttons alone.
import assert from 'node:assert/strict';

const LOOK_MS = 20000;

export async function openDesk(page) {
	await page.goto('/');
	await page.locator('#captures form').waitFor();
}

// ---- the patient ----

// From STEP 0, with nothing left of what was before.
export async function goTo(page, step, variant = 'leaky') {
	await openDesk(page);
	await page.getByRole('button', {name: 'Reset'}).click();
	await page.locator('.steps li.now', {hasText: '0 none'}).waitFor();
	await page.getByRole('button', {name: new RegExp(`^Step ${step}, .*, ${variant}$`)}).click();
	await page.locator('.steps li.now', {hasText: new RegExp(`^${step} `)}).waitFor();
}

export const request = (page, name = 'Request') => page.getByRole('button', {name, exact: true}).click();

// Until COUNT more answers came.
export async function requestAndWait(page, count) {
	const answers = page.getByRole('list', {name: 'Latest answers'}).getByRole('listitem');
	const before = await answers.count();

	for (let i = 1; i <= count; i++) {
		await request(page);
		await answers.nth(before + i - 1).waitFor();
	}
}

// ---- threads ----

// Looks again until PLACE is there: a thread that was begun needs a moment to come to where it waits.
export async function lookUntil(page, place) {
	const deadline = Date.now() + LOOK_MS;

	while (!await place.isVisible()) {
		assert.ok(Date.now() < deadline, `${place} does not come`);
		await page.getByRole('button', {name: 'Look again'}).click();
		await page.locator('#summary', {hasText: 'groups of equal stacks'}).waitFor();
	}
}

// ---- captures ----

export const rowOf = (page, name) => page.locator('#captures tr', {hasText: name});

export async function startTaking(page, kind, seconds, name) {
	await page.locator('#captures select[name=kind]').selectOption(kind);
	await page.getByRole('spinbutton', {name: 'Seconds'}).fill(String(seconds));
	await page.getByRole('textbox', {name: 'Name (if you like)'}).fill(name);
	await page.getByRole('button', {name: 'Take', exact: true}).click();
}

// Returns its row once it is there. No other has the NAME.
export async function take(page, kind, seconds, name) {
	await startTaking(page, kind, seconds, name);
	await rowOf(page, `${name}-`).waitFor();
	return rowOf(page, `${name}-`);
}
