# SPDX-License-Identifier: LGPL-2.1-or-later

# The manual as HTML: a page for each POD file, and index.html, which lists the
# functions by topic as the section FUNCTIONS of libnbd(3) does.
#   perl pages.pl TEMPLATE RELEASE FOLDER NAME.SECTION.pod...

use strict;
use warnings;

# POD to the inside of a page.  Links to other pages of the manual lead to their
# HTML; those to pages of others are only marked.
package Page;

use parent 'Pod::Simple::XHTML';

sub new
{
  my ($class, $pages) = @_;
  my $self = $class->SUPER::new;

  $self->{pages} = $pages;
  $self->html_header ('');
  $self->html_footer ('');
  $self->html_h_level (2);
  $self->html_encode_chars ('&<>"');
  $self->strip_verbatim_indent (' ');
  return $self;
}

sub start_L
{
  my ($self, $attrs) = @_;
  my ($type, $to, $section) = map { $_ // '' } @$attrs{qw(type to section)};
  my $file = $self->{pages}{$to};
  my $url;

  if ($type eq 'url') {
    $url = $to;
  }
  elsif ($to eq '' || $file) {
    $url = $file ? $file->{html} : '';
    $url .= '#' . $self->idify ($section, 1) if $section ne '';
  }
  push @{$self->{ends}}, $url ? '</a>' : '</span>';
  $self->{scratch} .= $url
    ? sprintf ('<a href="%s">', $self->encode_entities ($url))
    : '<span class="man">';
}

sub end_L
{
  my ($self) = @_;

  $self->{scratch} .= pop @{$self->{ends}};
}

# The topics of the section FUNCTIONS, and the pages that each links to.
package Topics;

use parent 'Pod::Simple';

sub _handle_element_start
{
  my ($self, $name, $attrs) = @_;

  if ($name =~ /^head[12]$/) {
    $self->{heading} = '';
  }
  elsif ($name eq 'L' && $self->{inside} && $attrs->{type} eq 'man') {
    my $pages = $self->{topics}[-1]{pages};

    push @$pages, "$attrs->{to}" unless grep { $_ eq $attrs->{to} } @$pages;
  }
}

sub _handle_text
{
  my ($self, $text) = @_;

  $self->{heading} .= $text if defined $self->{heading};
}

sub _handle_element_end
{
  my ($self, $name) = @_;
  my $heading = $self->{heading};

  return unless $name =~ /^head([12])$/;
  $self->{inside} = $heading eq 'FUNCTIONS' if $1 == 1;
  push @{$self->{topics}}, { title => $heading, pages => [] }
    if $1 == 2 && $self->{inside};
  delete $self->{heading};
}

package main;

my ($template_file, $release, $folder, @files) = @ARGV;

sub read_file
{
  my ($file) = @_;

  open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
  local $/;
  return scalar <$in>;
}

my $template = read_file ($template_file);

sub escape
{
  my ($text) = @_;

  $text =~ s/&/&amp;/g;
  $text =~ s/</&lt;/g;
  $text =~ s/>/&gt;/g;
  return $text;
}

# write_page FILE, TITLE, CONTENT: what the template says, filled in.
sub write_page
{
  my ($file, $title, $content) = @_;
  my %values = (title => escape ($title), release => escape ($release),
                content => $content);
  my $text = $template;

  $text =~ s/\{\{(\w+)\}\}/$values{$1} \/\/ die "{{$1}}?\n"/ge;
  open my $out, '>:encoding(UTF-8)', "$folder/$file"
    or die "$folder/$file: $!\n";
  print $out $text;
  close $out or die "$folder/$file: $!\n";
}

# What there is: by "nbd_pread(3)" the file, its page, and its summary.
my %pages;
for my $file (@files) {
  my ($name, $section) = $file =~ m{([^/]+)\.(\d)\.pod$}
    or die "$file: not NAME.SECTION.pod\n";
  my ($summary) = read_file ($file) =~ /^=head1 NAME\n+\Q$name\E - (.*)\n/m
    or die "$file: no NAME\n";

  $pages{"$name($section)"} = {
    name => $name, file => $file, html => "$name.html", summary => $summary,
  };
}
my @overview = sort grep { $_ !~ /^nbd_/ } keys %pages;

# The table of contents of a page.
sub contents
{
  my ($content) = @_;
  my $list = qq(\n\n<ul class="contents">\n);
  my $depth = 2;

  while ($content =~ m{<h([23]) id="([^"]*)">(.*?)</h}g) {
    my ($level, $id, $title) = ($1, $2, $3);

    $title =~ s/<[^>]*>//g;
    $list .= $level > $depth ? "\n<ul>\n"
      : $level < $depth ? "</li>\n</ul></li>\n"
      : $list =~ /<li>/ ? "</li>\n" : '';
    $list .= qq(<li><a href="#$id">$title</a>);
    $depth = $level;
  }
  return $list . ($depth == 3 ? "</li>\n</ul></li>\n</ul>" : "</li>\n</ul>");
}

# The section NAME becomes the heading of the page.
for my $page (values %pages) {
  my $parser = Page->new (\%pages);
  my $content;

  $parser->output_string (\$content);
  $parser->parse_string_document (read_file ($page->{file}));
  $content =~ s{<h2 id="NAME">NAME</h2>\s*<p>\S+ - (.*?)</p>}
               {<h1 id="NAME">$page->{name}</h1>\n\n<p class="summary">$1</p>}s
    or die "$page->{file}: no NAME\n";
  $content =~ s{(<p class="summary">.*?</p>)}{$1 . contents ($content)}e
    if $page->{name} !~ /^nbd_/;
  write_page ($page->{html}, "$page->{name} - $page->{summary}", $content);
}

sub item
{
  my ($page) = @_;

  return sprintf qq(<li><a href="%s">%s</a> <span>%s</span></li>\n),
    $page->{html}, $page->{name}, escape ($page->{summary});
}

my $topics = Topics->new;
my %listed;

$topics->parse_string_document (read_file ($pages{'libnbd(3)'}{file}));

my $index = qq(<h1>The manual of $release</h1>\n\n<ul>\n);
$index .= item ($pages{$_}) for @overview;
$index .= qq(</ul>\n\n<p id="search" hidden="hidden"><label>Search )
  . qq(<input type="search" autocomplete="off"/></label> )
  . qq(<span role="status"></span></p>\n\n);
for my $topic (@{$topics->{topics}}) {
  my @found = grep { $_ } @pages{@{$topic->{pages}}};

  $index .= sprintf qq(<div class="topic">\n<h2 id="%s">%s</h2>\n<ul>\n),
    Pod::Simple::XHTML->new->idify ($topic->{title}),
    escape ($topic->{title});
  $index .= item ($_) for @found;
  $index .= "</ul>\n</div>\n\n";
  $listed{$_->{name}} = 1 for @found;
}
for (map { $_->{name} } values %pages) {
  die "$_ is not in FUNCTIONS of libnbd(3)\n" if /^nbd_/ && !$listed{$_};
}
write_page ('index.html', "The manual of $release", $index);
