// node main.mjs: the tests of pages, against the desks at DESK and DESK_WITHOUT (one without the
// viewer's engine), with the trace TRACE, which must be among their captures.
import './viewer.mjs';
import './desk.mjs';
import {runTests} from './harness.mjs';

process.exit(await runTests({desk: process.env.DESK, without: process.env.DESK_WITHOUT}) ? 0 : 1);
