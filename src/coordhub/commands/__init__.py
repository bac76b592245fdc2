"""Commands of operators, a module for each subject; `cli` hangs them up.

A command says what it takes and prints what came of it; what is done stands below, in `admin`,
`record` or `store`. `wiring` is what all of them stand on, and reads the settings.
"""
