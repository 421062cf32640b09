// Uploads one file by tus-js-client: node upload.cjs FILE OPTIONS, of which OPTIONS are JSON.
// Prints one line of JSON at the end: the URL, and how often it had to try again.
"use strict";

const fs = require("fs");
const tus = require("tus-js-client");

const [file, options] = process.argv.slice(2);
const { asBuffer, ...wanted } = JSON.parse(options);
let retries = 0;

const upload = new tus.Upload(asBuffer ? fs.readFileSync(file) : fs.createReadStream(file), {
  retryDelays: [0, 50, 100, 200, 400, 800],
  onShouldRetry(error) {
    retries += 1;
    const answer = error.originalResponse;
    const status = answer ? answer.getStatus() : 0;
    return status < 400 || status >= 500 || status === 409 || status === 423;
  },
  onError(error) {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess() {
    console.log(JSON.stringify({ url: upload.url, retries }));
  },
  ...wanted,
});
upload.start();
