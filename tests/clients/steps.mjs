// The steps of a judge, said as TAP: a line `ok - NAME` or `not ok - NAME` for each.
// https://testanything.org/tap-specification.html
import { inspect } from "node:util";

/** One step; if it fails, why is printed, and the next is tried all the same. */
export async function step(name, play) {
  try {
    await play();
    console.log(`ok - ${name}`);
  } catch (error) {
    console.error(inspect(error, { depth: 6 }));
    console.log(`not ok - ${name}`);
  }
}
