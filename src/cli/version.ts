/** The version that is printed; the build puts that of package.json in its place. */
declare const GSUP_VERSION: string | undefined;
export const VERSION: string = typeof GSUP_VERSION === 'string' ? GSUP_VERSION : '0.0.0-source';
