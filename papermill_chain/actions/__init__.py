"""What a command line can ask of a chain: to run, to be compared, a grid, a copy to work on."""
