// A Node server on the descriptor that its argument names: `/` at once, `/slow` after two seconds. At
// TERM it takes no further connection, answers what it has, and ends.
const http = require("node:http");

const { ARBITER_SLOT, ARBITER_GENERATION } = process.env;
const words = `hello from worker ${ARBITER_SLOT} generation ${ARBITER_GENERATION}\n`;
const server = http.createServer((request, response) => {
  setTimeout(() => response.end(words), request.url === "/slow" ? 2000 : 0);
});

server.listen({ fd: Number(process.argv[2]) });
process.on("SIGTERM", () => {
  server.close();
  // A kept connection is busy now and idle a moment later.
  setInterval(() => server.closeIdleConnections(), 20).unref();
});
