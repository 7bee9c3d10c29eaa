package operator

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
)

// client is how a server is talked to: as whom, and over what connection.
type client struct {
	monitoringv1.HTTPConfigWithoutTLS
	monitoringv1.ProxyConfig
	tls *monitoringv1.TLSConfig
	// bearerTokenFile is a file of this server that holds the token.
	bearerTokenFile string
}

// httpClient returns how a server is talked to that has no settings but these.
func httpClient(basic *monitoringv1.BasicAuth, auth *monitoringv1.SafeAuthorization, oauth2 *monitoringv1.OAuth2, tls *monitoringv1.SafeTLSConfig, proxy monitoringv1.ProxyConfig, followRedirects, http2 *bool) client {
	return client{
		HTTPConfigWithoutTLS: monitoringv1.HTTPConfigWithoutTLS{
			BasicAuth: basic, Authorization: auth, OAuth2: oauth2, FollowRedirects: followRedirects, EnableHTTP2: http2,
		},
		ProxyConfig: proxy,
		tls:         withSecrets(tls),
	}
}

// withSecrets returns the TLS settings that have no files, in the form of those that do,
// and nil if they say nothing.
func withSecrets(c *monitoringv1.SafeTLSConfig) *monitoringv1.TLSConfig {
	if c == nil || *c == (monitoringv1.SafeTLSConfig{}) {
		return nil
	}
	return &monitoringv1.TLSConfig{SafeTLSConfig: *c}
}

// resolve returns the value that a reference points to, and notes the reference.
func (o *object) resolve(path string, r Reference) string {
	if r.Name == "" || r.Key == "" {
		o.fault(path, fmt.Errorf("a %s is referred to without its name or key", r.Kind))
		return ""
	}
	if o.references == nil {
		o.references = map[Reference]struct{}{}
	}
	o.references[r] = struct{}{}
	value, err := o.lookup(r)
	if err != nil {
		o.note(path, fmt.Errorf("%s: %w", r, err))
	}
	return value
}

// secret returns the value of a key of a Secret in a namespace.
func (o *object) secret(path, namespace string, s corev1.SecretKeySelector) string {
	return o.resolve(path, Reference{ReferenceSecret, namespace, s.Name, s.Key})
}

// secretOrConfigMap returns the value of a key of either, "" if it refers to neither.
func (o *object) secretOrConfigMap(path, namespace string, s monitoringv1.SecretOrConfigMap) string {
	switch {
	case s.Secret != nil:
		return o.secret(path, namespace, *s.Secret)
	case s.ConfigMap != nil:
		return o.resolve(path, Reference{ReferenceConfigMap, namespace, s.ConfigMap.Name, s.ConfigMap.Key})
	}
	return ""
}

// client adds how targets are talked to. What the object leaves open is that of its
// scrape class, whose Secrets are where the Prometheus object is.
func (o *object) client(s *section, path string, c client, class *monitoringv1.ScrapeClass) {
	classPath := fmt.Sprintf("scrapeClass[%s]", class.Name)
	if err := c.tls.Validate(); err != nil {
		o.fault(path+".tlsConfig", err)
	}
	if c.tls != nil {
		o.tls(s, path+".tlsConfig", o.meta.Namespace, withFiles(c.tls, class.TLSConfig))
	} else {
		o.tls(s, classPath+".tlsConfig", o.options.Namespace, class.TLSConfig)
	}
	otherwise := c.BasicAuth != nil || c.OAuth2 != nil || bearerTokenSecret(&c.HTTPConfigWithoutTLS) != nil || c.bearerTokenFile != ""
	switch own := value(c.Authorization); {
	case own != monitoringv1.SafeAuthorization{}:
		o.authorization(s, path+".authorization", own, class.Authorization)
	case class.Authorization != nil && !otherwise:
		o.classAuthorization(s, classPath+".authorization", class.Authorization)
	}
	o.account(s, path, o.meta.Namespace, c)
	o.proxy(s, path, o.meta.Namespace, c.ProxyConfig)
}

// checkAccount checks that there is at most one way to say who is asking. That of OAuth2
// is checked where it is added.
func (o *object) checkAccount(path string, c monitoringv1.HTTPConfigWithoutTLS) {
	if err := c.Validate(); err != nil && c.OAuth2.Validate() == nil {
		o.fault(path, err)
	}
}

// account adds every way but authorization to say who is asking, and what is left of
// the connection's settings.
func (o *object) account(s *section, path, namespace string, c client) {
	if token := bearerTokenSecret(&c.HTTPConfigWithoutTLS); token != nil {
		s.set("bearer_token", o.secret(path+".bearerTokenSecret", namespace, *token))
	}
	s.text("bearer_token_file", c.bearerTokenFile)
	o.basicAuth(s, path, namespace, c.BasicAuth)
	if c.OAuth2 != nil {
		o.oauth2(s, path+".oauth2", namespace, c.OAuth2)
	}
	some(s, "follow_redirects", c.FollowRedirects)
	some(s, "enable_http2", c.EnableHTTP2)
}

func (o *object) basicAuth(s *section, path, namespace string, c *monitoringv1.BasicAuth) {
	if c != nil {
		s.set("basic_auth", section{
			{Key: "username", Value: o.secret(path+".basicAuth.username", namespace, c.Username)},
			{Key: "password", Value: o.secret(path+".basicAuth.password", namespace, c.Password)},
		})
	}
}

// authorization adds the object's authorization. Credentials that it does not have are
// those of the class.
func (o *object) authorization(s *section, path string, own monitoringv1.SafeAuthorization, class *monitoringv1.Authorization) {
	auth := section{{Key: "type", Value: authorizationType(own.Type)}}
	switch {
	case own.Credentials != nil:
		auth.set("credentials", o.secret(path+".credentials", o.meta.Namespace, *own.Credentials))
	case class != nil:
		o.classCredentials(&auth, path, class)
	}
	s.set("authorization", auth)
}

// classAuthorization adds the authorization of a scrape class.
func (o *object) classAuthorization(s *section, path string, class *monitoringv1.Authorization) {
	auth := section{{Key: "type", Value: authorizationType(class.Type)}}
	o.classCredentials(&auth, path, class)
	s.set("authorization", auth)
}

func (o *object) classCredentials(auth *section, path string, class *monitoringv1.Authorization) {
	if class.Credentials != nil {
		auth.set("credentials", o.secret(path+".credentials", o.options.Namespace, *class.Credentials))
		return
	}
	auth.text("credentials_file", class.CredentialsFile)
}

func authorizationType(name string) string {
	if name == "" {
		return "Bearer"
	}
	return strings.TrimSpace(name)
}

func (o *object) oauth2(s *section, path, namespace string, c *monitoringv1.OAuth2) {
	if err := c.Validate(); err != nil {
		o.fault(path, err)
	}
	var auth section
	auth.set("client_id", o.secretOrConfigMap(path+".clientId", namespace, c.ClientID))
	auth.set("client_secret", o.secret(path+".clientSecret", namespace, c.ClientSecret))
	auth.set("token_url", string(c.TokenURL))
	list(&auth, "scopes", c.Scopes)
	if len(c.EndpointParams) > 0 {
		auth.set("endpoint_params", sorted(c.EndpointParams))
	}
	o.proxy(&auth, path, namespace, c.ProxyConfig)
	o.tls(&auth, path+".tlsConfig", namespace, withSecrets(c.TLSConfig))
	s.set("oauth2", auth)
}

func (o *object) proxy(s *section, path, namespace string, c monitoringv1.ProxyConfig) {
	if err := c.Validate(); err != nil {
		o.fault(path, err)
	}
	some(s, "proxy_url", c.ProxyURL)
	some(s, "no_proxy", c.NoProxy)
	some(s, "proxy_from_environment", c.ProxyFromEnvironment)
	if c.ProxyConnectHeader == nil {
		return
	}
	headers := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(c.ProxyConnectHeader)) {
		for i, selector := range c.ProxyConnectHeader[name] {
			at := fmt.Sprintf("%s.proxyConnectHeader[%s][%d]", path, name, i)
			headers[name] = append(headers[name], o.secret(at, namespace, selector))
		}
	}
	s.set("proxy_connect_header", sorted(headers))
}

// withFiles returns the TLS settings with the files of a scrape class where they have
// neither a Secret nor a file.
func withFiles(own, class *monitoringv1.TLSConfig) *monitoringv1.TLSConfig {
	if class == nil {
		return own
	}
	merged := *own
	if merged.CAFile == "" && merged.CA == (monitoringv1.SecretOrConfigMap{}) {
		merged.CAFile = class.CAFile
	}
	if merged.CertFile == "" && merged.Cert == (monitoringv1.SecretOrConfigMap{}) {
		merged.CertFile = class.CertFile
	}
	if merged.KeyFile == "" && merged.KeySecret == nil {
		merged.KeyFile = class.KeyFile
	}
	return &merged
}

// tls adds TLS settings. Certificates and keys are looked at here, since one that is
// none would only be noticed when the job is started.
func (o *object) tls(s *section, path, namespace string, c *monitoringv1.TLSConfig) {
	if c == nil {
		return
	}
	var t section
	some(&t, "insecure_skip_verify", c.InsecureSkipVerify)
	material := func(key, field, file string, selector monitoringv1.SecretOrConfigMap) string {
		t.text(key+"_file", file)
		if selector == (monitoringv1.SecretOrConfigMap{}) {
			return ""
		}
		faults := len(o.faults) + o.moreFaults
		pem := o.secretOrConfigMap(path+"."+field, namespace, selector)
		if pem == "" && len(o.faults)+o.moreFaults == faults {
			o.fault(path+"."+field, errors.New("the value is empty"))
		}
		t.set(key, pem)
		return pem
	}
	ca := material("ca", "ca", c.CAFile, c.CA)
	cert := material("cert", "cert", c.CertFile, c.Cert)
	key := material("key", "keySecret", c.KeyFile, monitoringv1.SecretOrConfigMap{Secret: c.KeySecret})
	if ca != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(ca)) {
		o.fault(path+".ca", errors.New("there is no certificate in the value, which must be PEM"))
	}
	if cert != "" && key != "" {
		if _, err := tls.X509KeyPair([]byte(cert), []byte(key)); err != nil {
			o.fault(path+".cert", err)
		}
	}
	if c.ServerName != nil {
		t.text("server_name", *c.ServerName)
	}
	some(&t, "min_version", c.MinVersion)
	some(&t, "max_version", c.MaxVersion)
	s.set("tls_config", t)
}
