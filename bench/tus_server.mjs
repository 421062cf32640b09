// A peer of the modes tus and tus-durable: @tus/server with its store of files.
// node tus_server.mjs PORT FOLDER NODE_MODULES
const [port, directory, modules] = process.argv.slice(2);
const { Server } = await import(`${modules}/@tus/server/dist/index.js`);
const { FileStore } = await import(`${modules}/@tus/file-store/dist/index.js`);
new Server({ path: "/files", datastore: new FileStore({ directory }) }).listen({ host: "127.0.0.1", port });
