// Long enough that something else can be written in its place, byte for byte as many.
//
// The author of this package would like to say that the right is what is left when the left is gone.
module.exports = 'right';
