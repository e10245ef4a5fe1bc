// The patient that the desk looks at, at PATIENT.
import assert from 'node:assert/strict';

const PATIENT = process.env.PATIENT;

async function get(path) {
	const response = await fetch(PATIENT + path);

	assert.equal(response.status, 200, path);
	return response.text();
}

// To STEP from another: what was left there is given back.
export async function goTo(step) {
	await get('/goto?step=0');
	await get(`/goto?step=${step}`);
}

// COUNT requests at once, answered.
export function ask(count) {
	return Promise.all(Array.from({length: count}, () => get('/')));
}

// COUNT requests of step 1 that wait for the mutex; the next goTo() lets them go.
export async function hang(count) {
	const deadline = Date.now() + 10000;

	ask(count).catch(() => {});
	while ((await get('/debug/pprof/threads?debug=2')).split('waits for mutex shared_state_lock').length <= count)
		assert.ok(Date.now() < deadline, `${count} requests do not wait`);
}
