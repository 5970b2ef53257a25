using System.Text;
using FsCheck;
using FsCheck.Fluent;
using KvFs.Pki.Tests.Support;

namespace KvFs.Pki.Tests;

public sealed class PeerIdentityTests
{
    [Theory]
    [InlineData("kvfs://prod/node/n1", "prod", PeerRole.Node, "n1")]
    [InlineData("kvfs://a.b-2/csi/x.y", "a.b-2", PeerRole.Csi, "x.y")]
    [InlineData("kvfs://1/operator/0", "1", PeerRole.Operator, "0")]
    [InlineData("kvfs://p/admin/alice", "p", PeerRole.Admin, "alice")]
    [InlineData("kvfs://p/client/c", "p", PeerRole.Client, "c")]
    public void A_URI_says_pool_role_and_name(string uri, string pool, PeerRole role, string name)
    {
        Assert.True(PeerIdentity.TryParse(uri, out PeerIdentity? identity));
        Assert.Equal(new PeerIdentity(pool, role, name), identity);
        Assert.Equal(uri, identity.Uri);
    }

    [Theory]
    [InlineData("")]
    [InlineData("kvfs://")]
    [InlineData("kvfs://prod")]
    [InlineData("kvfs://prod/node")]
    [InlineData("kvfs://prod/node/")]
    [InlineData("kvfs:///node/n1")]
    [InlineData("kvfs://prod//n1")]
    [InlineData("kvfs://prod/node/n1/")]
    [InlineData("kvfs://prod/node/n1/more")]
    [InlineData("kvfs://prod/node/n1?x")]
    [InlineData("kvfs://prod/node/n1#x")]
    [InlineData("kvfs://prod:80/node/n1")]
    [InlineData("kvfs://me@prod/node/n1")]
    [InlineData("kvfs://prod/Node/n1")]
    [InlineData("kvfs://prod/0/n1")]
    [InlineData("kvfs://prod/king/n1")]
    [InlineData("kvfs://Prod/node/n1")]
    [InlineData("kvfs://prod/node/N1")]
    [InlineData("kvfs://prod/node/%6e1")]
    [InlineData("kvfs://prod/node/n_1")]
    [InlineData("kvfs://prod/node/-n1")]
    [InlineData("kvfs://prod/node/n1.")]
    [InlineData("kvfs://prod/node/..")]
    [InlineData("kvfs://prod/node/n1 ")]
    [InlineData(" kvfs://prod/node/n1")]
    [InlineData("kvfs://prod/node/n1\0")]
    [InlineData("KVFS://prod/node/n1")]
    [InlineData("http://prod/node/n1")]
    public void Any_other_spelling_is_refused(string uri) => Assert.False(PeerIdentity.TryParse(uri, out _));

    [Fact]
    public void The_longest_names_fit_and_a_letter_more_does_not()
    {
        string longest = new('a', 253);
        PeerIdentity identity = new(longest, PeerRole.Operator, longest);
        Assert.True(PeerIdentity.TryParse(identity.Uri, out PeerIdentity? read));
        Assert.Equal(identity, read);
        Assert.False(PeerIdentity.TryParse(identity.Uri + "a", out _));
        Assert.Equal(PkiFailure.Invalid, Assert.Throws<PkiException>(() => new PeerIdentity("p", PeerRole.Node, longest + "a")).Failure);
        Assert.Equal(PkiFailure.Invalid, Assert.Throws<PkiException>(() => new PeerIdentity(longest + "a", PeerRole.Node, "n")).Failure);
    }

    [Fact]
    public void Every_identity_comes_back_from_its_URI() => Seeds.Run(2_000, random =>
    {
        PeerIdentity identity = random.NextIdentity(random.NextName(253));
        Assert.True(PeerIdentity.TryParse(identity.Uri, out PeerIdentity? read), identity.Uri);
        Assert.Equal(identity, read);
    });

    [Fact]
    public void No_text_is_read_as_an_identity_that_is_written_otherwise() =>
        Prop.ForAll<string, string, string>((pool, role, name) => IsRefusedOrTheSame($"kvfs://{pool}/{role}/{name}")
            && IsRefusedOrTheSame(pool ?? string.Empty)).QuickCheckThrowOnFailure();

    [Fact]
    public void A_URI_with_changed_letters_is_refused_or_read_as_it_stands() => Seeds.Run(20_000, random =>
    {
        byte[] uri = Encoding.Latin1.GetBytes(random.NextIdentity(random.NextName(20)).Uri);
        string changed = Encoding.Latin1.GetString(random.Mutate(uri));
        Assert.True(IsRefusedOrTheSame(changed), changed);
    });

    private static bool IsRefusedOrTheSame(string uri) =>
        !PeerIdentity.TryParse(uri, out PeerIdentity? read) || read.Uri == uri;
}
