console.log(`waiting for jobs in ${process.env.NODE_ENV}`);
const work = setInterval(() => {}, 1000);
process.on("SIGTERM", () => clearInterval(work));
