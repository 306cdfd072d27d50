// What the type tests assert with. Nothing here runs: a test passes when it compiles.

/** `true` when A and B are the very same type. */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only with `true` as its argument, as in `expect<Same<A, B>>()`. */
export declare function expect<T extends true>(): T;
