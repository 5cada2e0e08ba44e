// A library without the entry.
extern "C" int something_else() { return 1; }
