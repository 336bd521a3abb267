// Stands for a version that was withdrawn because it does this.
require('fs').writeFileSync('/tmp/owned', '');
module.exports = 'left';
