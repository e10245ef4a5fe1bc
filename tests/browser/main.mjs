// node main.mjs: the tests of pages, against the desks at DESK and DESK_WITHOUT (one without the
// viewer's engine, and without a patient), with the trace TRACE, which must be among their captures, and
// the patient at PATIENT, which is DESK's.
import './pictures.mjs';
import './viewer.mjs';
import './desk.mjs';
import './pages.mjs';
import './labs.mjs';
import './captures.mjs';
import './steps.mjs';
import './vitals.mjs';
import './answer.mjs';
import {runTests} from './harness.mjs';

process.exit(await runTests({desk: process.env.DESK, without: process.env.DESK_WITHOUT}) ? 0 : 1);
