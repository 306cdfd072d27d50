'use strict';

// Stands for a program that takes jobs from somewhere, and finishes the one that it has when it is told to end.
const timer = setInterval(() => console.log('a job is done'), 1000);

process.once('SIGINT', () => {
  clearInterval(timer);
  console.log('no more jobs');
});
